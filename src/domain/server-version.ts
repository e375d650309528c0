/** The major of a version of PostgreSQL as its programs write it (`15.18 (Debian …)`); 0 when it is not known. */
export function majorOf(version = ''): number {
  return Number(/\d+/.exec(version)?.[0] ?? 0);
}
