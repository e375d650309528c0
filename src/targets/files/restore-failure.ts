import { BackupError, type ErrorCode, isStop, toBackupError } from '../../domain/errors.ts';
import { codeOf } from './raw-path.ts';

/** Said before anything was moved, and complete as it is. */
const COMPLETE: readonly ErrorCode[] = ['ARCHIVE_UNSAFE', 'TARGET_REFUSED', 'USAGE'];

/**
 * What stopped a restore, with the state of the target.
 * @param state for people, `/srv/www is as it was before`.
 */
export function restoreFailure(
  thrown: unknown,
  path: string,
  state: string,
  signal: AbortSignal,
): BackupError {
  const cause: unknown = signal.aborted ? signal.reason : thrown;
  if (cause instanceof BackupError && COMPLETE.includes(cause.code)) return cause;
  const told = toBackupError(cause);
  // What stopped the work as a whole is no failure of the restore.
  const code = isStop(told.code) ? told.code : 'RESTORE_FAILED';
  return new BackupError(code, `restoring into ${path} failed: ${reasonOf(cause)}; ${state}`, {
    path,
    hint: hintOf(cause),
    cause,
  });
}

/** Without the paths by which this process alone reaches the directory. */
function reasonOf(cause: unknown): string {
  return toBackupError(cause).message.replaceAll(/\/proc\/self\/fd\/\d+\/(?:tree\/)?/g, '');
}

function hintOf(cause: unknown): string {
  if (cause instanceof BackupError && cause.hint !== undefined) return cause.hint;
  switch (codeOf(cause) ?? '') {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'Free space on the file system of the target, or restore to a larger one.';
    case 'EPERM':
    case 'EACCES':
      return 'Restore as root, or into a directory that belongs to the user that restores; not every file system takes owners and links.';
    case 'ENAMETOOLONG':
      return 'Restore into a directory with a shorter path.';
    default:
      return 'Correct what the message names and restore again; the archive is untouched.';
  }
}
