import { type FileHandle, lchown, mkdir, stat } from 'node:fs/promises';

export const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

/** Who owns what is created; undefined when we are not root and everything is ours anyway. */
export type Owner = { uid: number; gid: number } | undefined;

/** Commands run by root must not leave files that the daemon's user cannot read: they take this owner. */
export async function ownerOf(directory: string): Promise<Owner> {
  if (process.geteuid?.() !== 0) return undefined;
  const { uid, gid } = await stat(directory);
  return { uid, gid };
}

/** Gives an open file to the owner. */
export async function adoptFile(file: FileHandle, owner: Owner): Promise<void> {
  if (owner !== undefined) await file.chown(owner.uid, owner.gid);
}

/** Makes a directory of mode 0700 for the owner, unless it exists. Its parent must exist. */
export async function makeDirectory(path: string, owner: Owner): Promise<void> {
  try {
    await mkdir(path, { mode: DIRECTORY_MODE });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return;
    throw error;
  }
  if (owner !== undefined) await lchown(path, owner.uid, owner.gid);
}
