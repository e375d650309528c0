/**
 * Earlier 24.x, and 26 before 26.6, decompress a truncated zstd file without any error, which no
 * verification could make up for.
 */
const OLDEST_MINOR: Record<number, number> = { 24: 20, 25: Number.POSITIVE_INFINITY, 26: 6 };

/** Whether cofre may run on this version of Node. */
export function isSupportedNode(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > 26 || minor >= (OLDEST_MINOR[major] ?? Number.POSITIVE_INFINITY);
}

/** Ends the process with status 2 on a Node that cofre must not run on. */
export function assertRuntime(version: string): void {
  if (isSupportedNode(version)) return;
  process.stderr.write(
    `cofre needs Node.js 24.20 or a newer 24, or 26.6 or newer; this is ${version}.\n` +
      'In a checkout, `npm ci` installs the right one: start cofre with `npm run -s cofre -- …`.\n',
  );
  process.exit(2);
}
