import { BackupError } from '../../domain/errors.ts';
import type { Filters } from './selection.ts';

export type DumpFormat = 'plain' | 'custom' | 'directory';

/**
 * The arguments of pg_dump. The connection string holds no password. A dump in the custom or directory format is left
 * uncompressed, since it is compressed like any other stream afterwards.
 */
export function dumpArguments(options: {
  connectionString: string;
  format: DumpFormat;
  filters: Filters;
  lockWaitTimeout_ms: number;
  /** Of the directory format. */
  jobs: number;
}): string[] {
  const { format, jobs } = options;
  const { include, exclude } = options.filters;
  return [
    `--dbname=${options.connectionString}`,
    '--no-password',
    `--format=${format}`,
    ...(format === 'plain' ? [] : ['--compress=0']),
    ...(format === 'directory' ? [`--jobs=${jobs}`] : []),
    `--lock-wait-timeout=${options.lockWaitTimeout_ms}`,
    // Otherwise an include pattern that names nothing is passed over as long as another one does.
    '--strict-names',
    ...(include.schemas ?? []).map((pattern) => `--schema=${pattern}`),
    ...(include.tables ?? []).map((pattern) => `--table=${pattern}`),
    ...(exclude.schemas ?? []).map((pattern) => `--exclude-schema=${pattern}`),
    ...(exclude.tables ?? []).map((pattern) => `--exclude-table=${pattern}`),
  ];
}

/** pg_dump waits for locks under a statement timeout; newer versions may use a lock timeout. */
const LOCK_TIMEOUT =
  /canceling statement due to (?:lock|statement) timeout[\s\S]*LOCK TABLE|due to lock timeout/;
const LOGIN_REFUSED =
  /password authentication failed|no password supplied|no pg_hba\.conf entry|(?:role|database) ".*" does not exist|certificate verify failed|root certificate file|private key file|is not permitted to log in|authentication method/;
const CONNECTION_LOST =
  /connection to server .* failed|could not connect to server|could not translate host name|server closed the connection|terminating connection|connection (?:to server )?was lost|SSL connection has been closed|could not (?:receive data from|send data to) server|no connection to the server|database system is (?:starting up|shutting down|in recovery mode)|too many (?:clients|connections)|remaining connection slots/;

/**
 * What pg_dump said, as a code. Only a connection that failed before the first byte is SERVER_UNREACHABLE,
 * which is retried: later, something is wrong that a retry may hide.
 * @param received whether any byte of the dump had arrived.
 */
export function dumpError(error: BackupError, received: boolean): BackupError {
  if (error.code !== 'TOOL_FAILED') return error;
  const { message } = error;
  if (/server version mismatch/.test(message)) {
    return recoded(error, 'SERVER_TOO_NEW', 'Install a pg_dump that is at least as new as the server.');
  }
  if (LOCK_TIMEOUT.test(message)) {
    const hint = 'Find in pg_locks which session holds the lock, or raise lockWaitTimeout.';
    return recoded(error, 'SERVER_BUSY', hint);
  }
  if (/permission denied for|affected by row-level security policy|may lack SELECT privilege/.test(message)) {
    return recoded(error, 'UNREADABLE', '`cofre check` names every table and sequence the role cannot read.');
  }
  if (/no matching (?:schemas|tables) were found/.test(message)) {
    return recoded(error, 'SOURCE_MISSING', 'Correct the pattern below include.');
  }
  if (LOGIN_REFUSED.test(message)) {
    return recoded(error, 'SERVER_AUTH', 'Correct the connection URI; `cofre check` tries it.');
  }
  if (!received && CONNECTION_LOST.test(message)) {
    return recoded(
      error,
      'SERVER_UNREACHABLE',
      'Look at the log of the server for why the connection ended.',
    );
  }
  return error;
}

function recoded(error: BackupError, code: BackupError['code'], hint: string): BackupError {
  return new BackupError(code, error.message, { hint, cause: error });
}
