import { type FileHandle, lchown, lstat, mkdir, stat } from 'node:fs/promises';
import { BackupError } from '../domain/errors.ts';

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

/** Whether we are root in a location that belongs to somebody else, and so have to mind what lies there. */
export function worksForAnother(owner: Owner): owner is Exclude<Owner, undefined> {
  return owner !== undefined && owner.uid !== 0;
}

/** Gives an open file to the owner. */
export async function adoptFile(file: FileHandle, owner: Owner): Promise<void> {
  if (owner !== undefined) await file.chown(owner.uid, owner.gid);
}

/**
 * Makes a directory of mode 0700 for the owner, unless it exists. Its parent must exist. What exists may be a
 * link to another disk, but not where root works for the owner: the owner could have root write anywhere.
 * Throws LOCATION_UNUSABLE then, and for a directory of a third user.
 */
export async function makeDirectory(path: string, owner: Owner): Promise<void> {
  try {
    await mkdir(path, { mode: DIRECTORY_MODE });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    await assertOwnDirectory(path, owner);
    return;
  }
  if (owner !== undefined) await lchown(path, owner.uid, owner.gid);
}

/** Throws LOCATION_UNUSABLE for what `makeDirectory` would not take over. A missing one is fine. */
export async function assertOwnDirectory(path: string, owner: Owner): Promise<void> {
  if (!worksForAnother(owner)) return;
  const { uid } = owner;
  const found = await lstat(path).catch(ignoreMissing);
  if (found === undefined) return;
  if (found.isDirectory() && (found.uid === uid || found.uid === 0)) return;
  const what = found.isDirectory() ? `belongs to user ${found.uid}` : 'is not a directory itself';
  throw new BackupError(
    'LOCATION_UNUSABLE',
    `${path} ${what}, and root does not write there for user ${uid}`,
    {
      path,
      hint: `Run cofre as user ${uid}, or make it a directory of that user; instead of a link, mount the other disk there.`,
    },
  );
}

function ignoreMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}
