import { BackupError, toBackupError } from '../domain/errors.ts';

/** SQLSTATE of a server whose disk is full. */
const SERVER_DISK_FULL = '53100';

/** For a lack of space. */
export const SPACE_HINT = 'Free space there, or name a directory on a larger disk as scratch.directory.';

export function notProvable(message: string, hint: string, cause?: unknown): BackupError {
  return new BackupError('NOT_PROVABLE', message, { hint, ...(cause === undefined ? {} : { cause }) });
}

/**
 * Whatever kept this machine from making a place for a drill, as NOT_PROVABLE: it says nothing of the archive.
 * An error without a code of the system or the server is a fault of ours and comes back as it is.
 * @param what was being done, for the message: `the scratch cluster could not be made`.
 * @param where the place is, for a disk that is full.
 */
export function asNotProvable(thrown: unknown, what: string, where: string): unknown {
  if (thrown instanceof BackupError && (thrown.code === 'NOT_PROVABLE' || thrown.code === 'CANCELLED')) {
    return thrown;
  }
  const { code } = thrown as { code?: unknown };
  if (typeof code !== 'string' || code.startsWith('ERR_')) return thrown;
  if (code === 'DISK_FULL' || code === 'ENOSPC' || code === SERVER_DISK_FULL) {
    return notProvable(`${what}: no space left in ${where}`, SPACE_HINT, thrown);
  }
  const error = thrown instanceof BackupError ? thrown : toBackupError(thrown);
  // What the server refuses has an SQLSTATE, for which the domain has no hint.
  const hint = thrown instanceof BackupError || code.startsWith('E') ? error.hint : undefined;
  const fallback =
    'Look at the message of the server; `scratch` in the configuration says where drills are done.';
  return notProvable(`${what}: ${(thrown as Error).message}`, hint ?? fallback, thrown);
}
