/**
 * SQLSTATEs and their classes that say something of the server, its machine, or what others do there, and nothing of
 * the statement that was refused: connections; transactions that others were in the way of; read-only; resources;
 * locks; operators; files, programs and the system.
 * Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const OF_SERVER = /^(?:08|28|3D|40|53|57|58|F0|25006|55006|55P03)/;
/** Not permitted: says something of the role that asks, unless that is a superuser. */
const NOT_PERMITTED = '42501';

/**
 * Whether what a server answered to a statement of an archive is a lack of that server, or of the role.
 * @param superuser whether the role may do everything.
 */
export function isLackState(state: string, { superuser }: { superuser: boolean }): boolean {
  return OF_SERVER.test(state) || (state === NOT_PERMITTED && !superuser);
}

/** What pg_restore, which prints no SQLSTATE, prints in its place; in English, as a superuser can have it. */
const MESSAGES: readonly [RegExp, string][] = [
  [/permission denied|must be (?:owner|superuser|member|able)|only roles with|must have /, NOT_PERMITTED],
  [/out of (?:shared )?memory|could not resize shared memory/, '53200'],
  [
    /too many (?:clients|connections)|remaining connection slots|connection limit exceeded|no more connections allowed/,
    '53300',
  ],
  [/No space left on device|Disk quota exceeded|: wrote only \d+ of \d+ bytes/, '53100'],
  [/deadlock detected/, '40P01'],
  [/canceling statement due to/, '57014'],
  [/terminating connection|the database system is (?:starting|shutting)|in recovery mode/, '57P01'],
  [/read-only transaction|during recovery/, '25006'],
  [/could not (?:access|open|read|write|create|stat|fsync|extend) (?:file|directory)/, '58030'],
];

/** The SQLSTATE behind a message of the server, where its words are known; for programs that print none. */
export function stateOfMessage(message: string): string | undefined {
  return MESSAGES.find(([pattern]) => pattern.test(message))?.[1];
}
