/**
 * What to put before a command line so that file modes count: root reads and writes whatever it likes. It
 * stays root without a capability, so that it still reaches a checkout in a home directory.
 */
export function withoutPrivileges(): string[] {
  if (process.getuid?.() !== 0) return [];
  return ['setpriv', '--bounding-set=-all', '--inh-caps=-all'];
}
