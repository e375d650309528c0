/**
 * Every error a user can meet, by a stable code. The code is part of the contract: it stands in JSON
 * output, in log lines and in docs/errors.md (a test compares the two).
 */
export const ERROR_CODES = {
  CONFIG_INVALID: 'The configuration does not validate; every fault is listed with its path.',
  CONFIG_NOT_FOUND: 'No configuration file was found at any of the places searched.',
  USAGE: 'The command line, or the request, is wrong.',
  JOB_UNKNOWN: 'No job of that name is configured.',
  JOB_BUSY: 'The job is under way already, or so much is that no more is begun.',
  RUN_UNKNOWN: 'No run of that id is known.',
  UNAUTHENTICATED: 'The request has no valid token.',
  FORBIDDEN: 'The token is not good for what the request asks for.',
  RATE_LIMITED: 'Too many requests with a wrong token came from this address, or too many streams are open.',
  ARCHIVE_UNKNOWN: 'No backup of that filename is in the catalogue.',
  ARCHIVE_PINNED: 'The archive is pinned and is not deleted.',
  ARCHIVE_MISSING: 'The manifest exists, the archive file does not.',
  ARCHIVE_CORRUPT: 'The stored bytes are not those that were written.',
  MANIFEST_CORRUPT: 'A manifest cannot be read; the archive beside it is untouched.',
  CONTENTS_MISMATCH: 'The archive decodes, but its contents are not those seen while it was written.',
  LOCATION_UNUSABLE: 'The location is missing, not writable, not a mount point, or has no working flock.',
  SPACE_LOW: 'There is not enough free space for the next archive.',
  DISK_FULL: 'The disk ran full while writing; nothing partial was left.',
  IO_FAILED: 'Reading or writing a file failed.',
  LOCK_BUSY: 'Another process holds the lock.',
  LOCK_LOST: 'A lock was lost while it was needed; the run was aborted.',
  TOOL_MISSING: 'A program that is needed was not found.',
  TOOL_FAILED: 'A program ended with an error, or was killed.',
  SERVER_UNREACHABLE: 'The PostgreSQL server cannot be reached.',
  SERVER_AUTH: 'The PostgreSQL server refused the user, the password or the database.',
  SERVER_TOO_NEW: 'The server is newer than every pg_dump found.',
  SERVER_BUSY: 'Another session holds the advisory lock, or a table lock was not granted in time.',
  UNREADABLE: 'A table, sequence or directory that belongs to the backup cannot be read.',
  ROWS_LEFT_OUT: 'A table is dumped without rows that belong to it.',
  DUMP_EMPTY: 'The dump holds nothing.',
  DUMP_TRUNCATED: 'The dump ended before its completion line.',
  SOURCE_MISSING:
    'A directory of the source does not exist, or a pattern below `include` matches no schema or table.',
  HOOK_FAILED: 'A hook ended with an error.',
  TIMEOUT: 'The work took longer than its timeout.',
  CANCELLED: 'The work was cancelled.',
  INTERRUPTED: 'The process died while the run was under way.',
  SKIPPED: 'A due time passed without a run: the job was still busy, or catching up is off or was given up.',
  PRUNE_HELD_BACK: 'Retention would remove more than half of a series in one go.',
  TARGET_REFUSED:
    'The target of a restore is not empty, is the source itself, or cannot be what is asked for.',
  ARCHIVE_UNSAFE: 'An entry of the archive would lead out of the target of a restore, or is a device.',
  RESTORE_FAILED:
    'The archive was not restored as it was recorded; the message says in what state the target is.',
  NOT_PROVABLE: 'This machine lacks what the drill of an archive needs.',
  DRILL_UNCONFINED: 'What a drill restores would run as the user that owns the backups.',
  DRILL_FAILED: 'A drill found that an archive does not restore to what was recorded of it.',
  OVERDUE: 'A job is overdue: a due time has passed and no run has succeeded since.',
  NOTIFY_FAILED: 'A notification could not be sent.',
  ADDRESS_IN_USE: 'The address of the HTTP server is taken or not of this machine.',
  INTERNAL: 'A fault in cofre itself.',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** These say that the work was stopped, and nothing of what it was about. */
const STOPS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['CANCELLED', 'TIMEOUT', 'LOCK_LOST']);

export function isStop(code: ErrorCode): boolean {
  return STOPS.has(code);
}

export interface BackupErrorOptions {
  /** What to do about it, in the imperative. */
  hint?: string | undefined;
  /** What it concerns: a file, a config path, a table. */
  path?: string | undefined;
  cause?: unknown;
}

/** An error with a stable code and a hint what to do. The message names the operation and its object. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly path: string | undefined;

  constructor(code: ErrorCode, message: string, options: BackupErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.path = options.path;
  }

  toJSON(): ErrorDocument {
    return {
      code: this.code,
      message: this.message,
      ...(this.hint === undefined ? {} : { hint: this.hint }),
      ...(this.path === undefined ? {} : { path: this.path }),
    };
  }
}

/** The shape of an error in `--json` output, the journal and the log. */
export interface ErrorDocument {
  code: ErrorCode;
  message: string;
  hint?: string;
  path?: string;
}

/** Anything thrown, as a BackupError: known system errors get their code and hint, the rest is INTERNAL. */
export function toBackupError(thrown: unknown, context = ''): BackupError {
  if (thrown instanceof BackupError) return thrown;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const prefix = context === '' ? '' : `${context}: `;
  const { code, path } = error as NodeJS.ErrnoException;
  // The reasons of signals are DOMExceptions, whose codes are numbers.
  if (error.name === 'AbortError') {
    return new BackupError('CANCELLED', `${prefix}cancelled`, { cause: error });
  }
  if (error.name === 'TimeoutError') {
    return new BackupError('TIMEOUT', `${prefix}took longer than its timeout`, { cause: error });
  }
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new BackupError('DISK_FULL', `${prefix}no space left on the device`, {
        path,
        hint: 'Free space at the location, shorten the retention, or move the location to a larger disk.',
        cause: error,
      });
    case undefined:
      return new BackupError('INTERNAL', `${prefix}${error.message}`, {
        hint: 'This is a fault in cofre: please report it with the log.',
        cause: error,
      });
    default:
      return new BackupError('IO_FAILED', `${prefix}${error.message}`, {
        path,
        hint: hintOfErrno(code),
        cause: error,
      });
  }
}

function hintOfErrno(code: string): string {
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return 'Give the user that runs cofre access to this path.';
    case 'ENOENT':
      return 'Create the path or correct it in the configuration.';
    case 'EROFS':
      return 'The file system is mounted read-only: remount it, or choose another location.';
    default:
      return 'Look at the system log for the reason of this input/output error.';
  }
}
