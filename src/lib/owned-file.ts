import { constants, type FileHandle, open } from 'node:fs/promises';
import { BackupError } from '../domain/errors.ts';
import { FILE_MODE, type Owner, worksForAnother } from './ownership.ts';

/** O_NONBLOCK: a FIFO in the place of the file must not hold us up until somebody reads from it. */
const NEVER_THROUGH = constants.O_NOFOLLOW | constants.O_NONBLOCK;
const APPEND = constants.O_RDWR | constants.O_CREAT | constants.O_APPEND | NEVER_THROUGH;
const READ = constants.O_RDONLY | NEVER_THROUGH;

/** What open(2) answers where something other than a file lies: a symbolic link, a directory, a socket. */
const NO_FILE_ERRORS = ['ELOOP', 'EISDIR', 'ENXIO'];

/**
 * Opens a file of the location for reading and appending, and makes it, with mode 0600, if it is missing. Root
 * works in directories of other users, who may have put there what leads to files of somebody else: no link is
 * followed, and a file with further names, which a snapshot of hard links gives to any, must be the owner's.
 * Throws LOCATION_UNUSABLE for anything else, and the system's error when it cannot be opened or made.
 */
export async function openOwnFile(path: string, owner: Owner): Promise<FileHandle> {
  return await openOwn(path, APPEND, owner);
}

/** The same for reading only, of a file that is there: what a link leads to is nothing that cofre wrote. */
export async function openOwnFileToRead(path: string, owner: Owner): Promise<FileHandle> {
  return await openOwn(path, READ, owner);
}

async function openOwn(path: string, flags: number, owner: Owner): Promise<FileHandle> {
  const file = await open(path, flags, FILE_MODE).catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    throw code !== undefined && NO_FILE_ERRORS.includes(code) ? notOurs(path, error) : error;
  });
  try {
    const found = await file.stat();
    const isForeign = worksForAnother(owner) && found.nlink !== 1 && found.uid !== owner.uid;
    if (!found.isFile() || isForeign) throw notOurs(path);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

function notOurs(path: string, cause?: unknown): BackupError {
  return new BackupError('LOCATION_UNUSABLE', `${path} is not a plain file of the location`, {
    path,
    hint: 'Look where it leads (`ls -l`) and who put it there, then remove that link; cofre follows none.',
    cause,
  });
}
