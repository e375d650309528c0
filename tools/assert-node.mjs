// Plain JavaScript: a Node too old for this project may be too old to load TypeScript, and would say so
// in words that help nobody. Older versions also decompress a truncated zstd file without any error.
const REQUIRED = [24, 20];

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < REQUIRED[0] || (major === REQUIRED[0] && minor < REQUIRED[1])) {
  console.error(
    `Node ${REQUIRED.join('.')} or newer is needed, this is ${process.version} (${process.execPath}).\n` +
      'Type: npm ci (it brings its own Node, which npm run, npm test and npx put first on PATH)',
  );
  process.exit(1);
}
