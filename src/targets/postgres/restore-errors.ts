import {
  BackupError,
  type BackupErrorOptions,
  type ErrorCode,
  isStop,
  toBackupError,
} from '../../domain/errors.ts';
import { printable } from '../../domain/printable.ts';
import { isLackState, stateOfMessage } from './lack-states.ts';

/** What a program said, boiled down: no data of rows, which stand in DETAIL and CONTEXT. */
export interface ProgramMessage {
  /** `ERROR:  role "alice" does not exist`, or the last line when there is no error of the server. */
  text: string;
  /** In the archive; psql only. */
  line?: number;
  /** SQLSTATE; psql only. */
  state?: string;
}

const ERROR_LINE = /^(?:psql:<stdin>:(\d+): |.*?: )?((?:ERROR|FATAL|PANIC): .*)$/m;
/** What psql prints with VERBOSITY=verbose, in any language: `psql:<stdin>:7: FEHLER:  42501: …`. Notices as well. */
const VERBOSE_LINE = /^psql:<stdin>:(\d+): (\p{L}+): +([0-9A-Z]{5}): (.*)$/gmu;
/** A place within the data: the row itself follows behind the colon. */
const COPY_CONTEXT = /^CONTEXT: +(COPY [^\n]*?, line \d+(?:, column [^\n:]*?)?)(?::|$)/m;
const NO_ERROR = /^(?:WARNING|NOTICE|INFO|LOG|DEBUG)$/;
const PSQL_LINE = /^psql:.*?:(\d+): (?!(?:WARNING|NOTICE|INFO|LOG|DEBUG):)(.*)$/m;

/** @param linesBefore how many lines stood before the archive's first on psql's stdin. */
export function programMessage(stderr: string, linesBefore = 0): ProgramMessage {
  const { said, at, state } = findError(stderr);
  const number = at - linesBefore;
  const copy = COPY_CONTEXT.exec(stderr)?.[1];
  const text = printable(copy === undefined ? said : `${said} (${copy})`);
  return {
    text,
    ...(number > 0 ? { line: number } : {}),
    ...(state === undefined ? {} : { state }),
  };
}

function findError(stderr: string): { said: string; at: number; state?: string } {
  const [, line, severity, state, message] =
    // psql stops at the first error, so that is the last it prints.
    [...stderr.matchAll(VERBOSE_LINE)].findLast(([, , word = '']) => !NO_ERROR.test(word)) ?? [];
  if (state !== undefined) return { said: `${severity}:  ${message}`, at: Number(line), state };
  const error = ERROR_LINE.exec(stderr);
  if (error !== null) return { said: error[2] ?? '', at: Number(error[1] ?? 0) };
  const own = PSQL_LINE.exec(stderr);
  return { said: own?.[2] ?? stderr.trim().split('\n').at(-1) ?? '', at: Number(own?.[1] ?? 0) };
}

/** What a program was told by the server about the archive, or by itself. */
export class ProgramStoppedError extends BackupError {
  /** Of what the server said; undefined where the program does not print it. */
  readonly sqlState: string | undefined;

  constructor(message: string, sqlState: string | undefined, options: BackupErrorOptions) {
    super('RESTORE_FAILED', message, options);
    this.sqlState = sqlState;
  }
}

/** What a server may lack for an archive: a pattern in its message, and the lack in words. */
const LACKS: readonly [RegExp, (match: RegExpExecArray) => string][] = [
  [/extension "(.+?)" is not available/, ([, name]) => `the extension ${name}`],
  [/could not open extension control file "(?:.*\/)?(.+?)\.control"/, ([, name]) => `the extension ${name}`],
  [
    /extension "(.+?)" has no (?:installation script nor update path for version|update path .* to version) "(.+?)"/,
    ([, name, version]) => `version ${version} of the extension ${name}`,
  ],
  [
    /(\S+) must be loaded via "?shared_preload_libraries/,
    ([, name]) => `${name?.replaceAll('"', '')} in shared_preload_libraries`,
  ],
  [/could not access file "(?:\$libdir\/)?(.+?)"/, ([, name]) => `the library ${name}`],
  [/could not load library "(.+?)"/, ([, name]) => `a library that loads: ${name}`],
  [/could not find function "(.+?)" in file "(.+?)"/, ([, name, file]) => `the function ${name} in ${file}`],
  [
    /(?:collation "(.+?)" for encoding ".+?" does not exist|invalid locale name: "(.+?)"|could not create locale "(.+?)"|could not open collator for locale "(.+?)")/,
    ([, a, b, c, d]) => `the collation or locale ${a ?? b ?? c ?? d}`,
  ],
  [/ICU is not supported in this build/, () => 'ICU'],
  // What is written last may fit in part, which has a message of its own.
  [
    /No space left on device|Disk quota exceeded|: wrote only \d+ of \d+ bytes/,
    () => 'free space on its disk',
  ],
  [/tablespace "(.+?)" does not exist/, ([, name]) => `the tablespace ${name}`],
  [/unsupported XML feature/, () => 'support for XML'],
  [/compression method lz4 not supported/, () => 'lz4 compression'],
  [
    /(?:access method|language|text search (?:parser|template)) "(.+?)" does not exist/,
    ([all]) => `the ${all.replace(' does not exist', '')}`,
  ],
  [
    /(must be superuser to [^\n]*|permission denied to create (?:extension|event trigger|foreign-data wrapper|subscription) ".+?"|only roles with privileges of the "pg_create_subscription" role may create subscriptions)/,
    ([, what]) => `a role with the rights of a superuser (${what})`,
  ],
];

/**
 * What this server lacks, in words that follow `this server lacks `, when that is why a restore failed.
 * @param message of psql, pg_restore or the server, in English.
 */
export function lacks(message: string): string | undefined {
  for (const [pattern, inWords] of LACKS) {
    const match = pattern.exec(message);
    if (match !== null) return inWords(match);
  }
  return undefined;
}

const HINTS: readonly [RegExp, string][] = [
  [
    /role "(.+?)" does not exist/,
    'Restore the roles first (`--globals`), make this role with CREATE ROLE, or leave owners and privileges out with `--no-owner`.',
  ],
  [
    /extension ".+?" is not available|extension control file/,
    'Install the package of the extension on the server (Debian: postgresql-<major>-<extension>).',
  ],
  [
    /shared_preload_libraries/,
    'Add the library to shared_preload_libraries in postgresql.conf and restart the server.',
  ],
  [
    /No space left on device|Disk quota exceeded|: wrote only \d+ of \d+ bytes/,
    'Free space on the disk of the server.',
  ],
  [/tablespace ".+?" does not exist/, 'Make the tablespace first (`--globals`).'],
  [
    /must be (?:owner|superuser|member)|permission denied/,
    'Restore as a superuser, or as the owner of everything in the archive; `--no-owner` leaves owners and privileges out.',
  ],
  [
    /unrecognized configuration parameter/,
    'The archive was written by a newer PostgreSQL, or needs a library: restore it into a server of that version.',
  ],
  [/is being accessed by other users/, 'End the sessions in the database and try again.'],
  [
    /in a read-only transaction|during recovery/,
    'Restore to the primary server, when this one is a standby; else turn default_transaction_read_only off for this database (ALTER DATABASE … SET) and for the role (ALTER ROLE … SET), or restore into a new database with `--create`.',
  ],
  [
    /has no equivalent in encoding|invalid byte sequence for encoding|encoding ".+?" does not match/,
    'Restore into a database with the encoding of the source; `--create` makes one.',
  ],
  [
    /invalid locale name|collation ".+?" for encoding/,
    'Generate the locale on the machine of the server (locale-gen) and restart it.',
  ],
  [
    /remaining connection slots|too many (?:clients|connections)/,
    'Restore with fewer `--jobs`, or raise max_connections.',
  ],
  [
    /out of shared memory|max_locks_per_transaction/,
    'Raise max_locks_per_transaction, or restore without a single transaction.',
  ],
];

export function hintOf(message: string): string | undefined {
  return HINTS.find(([pattern]) => pattern.test(message))?.[1];
}

/** What keeps its code although a restore is what failed: it says where to look. */
const OWN_CODES = new Set<ErrorCode>([
  'ARCHIVE_UNSAFE',
  'SPACE_LOW',
  'DISK_FULL',
  'TARGET_REFUSED',
  'TOOL_MISSING',
  'SERVER_TOO_NEW',
]);

/**
 * What says nothing of the archive: something ended the program, the server, or the connection between them. What
 * the server calls an ERROR is none of these, and may quote the archive.
 */
const FROM_OUTSIDE =
  /^(?:psql|pg_restore) (?:was killed by |stopped(?: at line \d+ of the archive)?: (?!ERROR:).*(?:terminating connection|server closed the connection|connection to server was lost|SSL connection has been closed|could not (?:receive data from|send data to) server|no connection to the server|before or while processing the request|a worker process died))/;

export interface RestoreErrorOptions {
  /** Of the target, a sentence's part: `nothing was changed`. */
  state: string;
  /** Whether it is a drill, for which all that says nothing of the archive is NOT_PROVABLE. */
  scratch: boolean;
  /** Whether the role that restores may do everything. */
  superuser: boolean;
}

/** A restore that failed. What already is a BackupError of its own kind keeps its code; the state is added to all. */
export function restoreError(thrown: unknown, options: RestoreErrorOptions): BackupError {
  const { state, scratch } = options;
  const error = toBackupError(thrown);
  const missing = lacks(error.message);
  const words = missing === undefined ? '' : `; this server lacks ${missing}`;
  const message = `${error.message}${words}; ${state}`;
  const keeps = isStop(error.code) || OWN_CODES.has(error.code);
  const ofRestore = scratch ? drillCode(error, missing, options.superuser) : 'RESTORE_FAILED';
  const code = keeps ? error.code : ofRestore;
  const hint = hintOf(error.message) ?? error.hint;
  return new BackupError(code, message, {
    hint,
    path: error.path,
    cause: thrown,
  });
}

/** What an archive can be blamed for: that it does not restore, or ends early. */
const OF_ARCHIVE = new Set<ErrorCode>(['RESTORE_FAILED', 'DUMP_TRUNCATED', 'DUMP_EMPTY']);
/** SQLSTATEs of what a function in the archive raises, whatever its words are. */
const RAISED = /^P0/;

/** The code of a drill's error: what was not said of a statement of the archive is not the archive's. */
function drillCode(error: BackupError, missing: string | undefined, superuser: boolean): ErrorCode {
  // A fault of ours, which is to be looked at.
  if (error.code === 'INTERNAL') return 'INTERNAL';
  if (!OF_ARCHIVE.has(error.code) || FROM_OUTSIDE.test(error.message)) return 'NOT_PROVABLE';
  const said = error instanceof ProgramStoppedError ? error : undefined;
  if (said?.sqlState !== undefined && RAISED.test(said.sqlState)) return 'RESTORE_FAILED';
  const sqlState = said === undefined ? undefined : (said.sqlState ?? stateOfMessage(said.message));
  const isLack = missing !== undefined || (sqlState !== undefined && isLackState(sqlState, { superuser }));
  return isLack ? 'NOT_PROVABLE' : 'RESTORE_FAILED';
}
