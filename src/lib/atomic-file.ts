import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { adoptFile, FILE_MODE, type Owner } from './ownership.ts';

/** Temporary files of `writeAtomically` in a directory, which a crash may leave: harmless, and swept. */
export const TEMPORARY_NAME = /^\..+\.tmp$/;

/**
 * Replaces a file so that a reader, or a crash at any point, sees the old content or the new, never less:
 * temporary file in the same directory, fsync, rename, fsync of the directory.
 */
export async function writeAtomically(
  path: string,
  content: string | Buffer | AsyncIterable<Buffer>,
  owner: Owner,
): Promise<void> {
  // The process id keeps two writers from sharing one temporary file.
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`);
  try {
    // Whatever bears the name is a leftover, or a link that somebody put in our way: `wx` opens neither.
    await rm(temporary, { force: true });
    const file = await open(temporary, 'wx', FILE_MODE);
    try {
      await adoptFile(file, owner);
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    // What is left there is swept later, which is no reason to hide what failed.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Renames within one directory, durably. */
export async function renameDurably(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncDirectory(dirname(to));
}

/** Makes creations, renames and deletions in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  let directory: FileHandle | undefined;
  try {
    directory = await open(path, 'r');
    await directory.sync();
  } catch (error) {
    // Some file systems (FUSE, SMB) cannot sync a directory; they have no better promise to give.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EINVAL' && code !== 'ENOTSUP' && code !== 'EISDIR') throw error;
  } finally {
    await directory?.close();
  }
}
