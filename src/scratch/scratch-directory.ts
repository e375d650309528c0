import { chmod, chown, mkdir, mkdtemp, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { toBackupError } from '../domain/errors.ts';
import type { ScratchDirectory } from '../domain/restore-ports.ts';
import { NEVER } from '../lib/abort.ts';
import { acquireKernelLock } from '../lib/kernel-lock.ts';
import { notProvable } from './not-provable.ts';
import { removeTree } from './remove-tree.ts';

/** Where a socket is made when the path of the scratch directory is too long for one. */
export const SHORT_PARENT = '/tmp';
export const SCRATCH_NAME = /^cofre-scratch-[A-Za-z0-9]{6}$/;
/** Locked for as long as the maker of the directory lives. What has it unlocked has no maker any more. */
export const LOCK_NAME = '.lock';
/** Its name until it is locked. */
export const UNLOCKED_NAME = '.lock.new';
/** Beside the lock, what the maker works in: removed first, so that what is left half-way is still known. */
export const WORK_NAME = 'w';

/**
 * Makes `cofre-scratch-XXXXXX/` in the parent; the path is that of an empty directory of mode 0700 in it. Disposing removes all, whoever owns it by now, if we may;
 * after a SIGKILL `sweepScratch` does. Throws NOT_PROVABLE where none can be made.
 */
export async function makeScratchDirectory(
  parent: string,
  signal: AbortSignal = NEVER,
): Promise<ScratchDirectory> {
  signal.throwIfAborted();
  await using stack = new AsyncDisposableStack();
  try {
    const top = stack.adopt(await mkdtemp(join(parent, 'cofre-scratch-')), removeTree);
    const unlocked = join(top, UNLOCKED_NAME);
    stack.use(await acquireKernelLock({ path: unlocked, wait_ms: 0, owner: undefined, signal }));
    const path = join(top, WORK_NAME);
    await mkdir(path, { mode: 0o700 });
    stack.adopt(path, removeTree);
    await rename(unlocked, join(top, LOCK_NAME));
    const all = stack.move();
    return { path, [Symbol.asyncDispose]: async () => await all.disposeAsync() };
  } catch (error) {
    signal.throwIfAborted();
    const { message } = toBackupError(error);
    throw notProvable(
      `no temporary directory can be made in ${parent}: ${message}`,
      'Give the user that runs cofre write access to it, or name another as scratch.directory.',
      error,
    );
  }
}

/** Lets a group, and nobody else, pass through to what lies in a scratch directory that root made. */
export async function letGroupThrough({ path }: ScratchDirectory, gid: number): Promise<void> {
  for (const directory of [dirname(path), path]) {
    await chown(directory, 0, gid);
    await chmod(directory, 0o710);
  }
}
