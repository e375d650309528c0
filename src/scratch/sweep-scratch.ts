import { constants, lstat, open, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '../lib/child.ts';
import { removeTree } from './remove-tree.ts';
import { LOCK_NAME, SCRATCH_NAME, SHORT_PARENT, UNLOCKED_NAME, WORK_NAME } from './scratch-directory.ts';
import { endServersIn } from './server-processes.ts';

const BUSY_STATUS = 75;
/** A directory is made and locked within a moment; one without a lock for this long never will be. */
const UNLOCKED_AGE_MS = 60_000;
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Removes the scratch directories in the parent, and those for sockets in /tmp, whose makers are dead, with the
 * servers that still run in them.
 * Leaves alone what is in use, what has another name, links, and for all but root what belongs to others. A
 * parent that is missing or cannot be read has none. What cannot be removed stays for the next sweep.
 * @returns the paths of those it removed. Throws the reason of the abort.
 */
export async function sweepScratch(parent: string, signal: AbortSignal): Promise<string[]> {
  const removed: string[] = [];
  for (const directory of new Set([parent, SHORT_PARENT])) {
    const names = await readdir(directory).catch(() => []);
    for (const name of names.filter((name) => SCRATCH_NAME.test(name))) {
      signal.throwIfAborted();
      if (await sweep(join(directory, name), signal)) removed.push(join(directory, name));
    }
  }
  return removed;
}

async function sweep(top: string, signal: AbortSignal): Promise<boolean> {
  const found = await lstat(top).catch(() => undefined);
  const user = process.geteuid?.();
  if (found === undefined || !found.isDirectory() || (user !== 0 && found.uid !== user)) return false;
  try {
    const state = await stateOf(join(top, LOCK_NAME), signal);
    if (state === 'held') return false;
    if (state === 'missing')
      return Date.now() - found.ctimeMs > UNLOCKED_AGE_MS && (await removeUnlocked(top));
    await endServersIn(top);
    // In a directory of another user the step into it could be one into a link.
    if (found.uid === user) await removeTree(join(top, WORK_NAME));
    await removeTree(top);
    return true;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

/**
 * Whether a process holds the lock. Nobody takes it anew, so a lock that is free stays free. The file is opened
 * here and locked by its descriptor: its path could be made to lead elsewhere by the owner of the directory.
 */
async function stateOf(lock: string, signal: AbortSignal): Promise<'held' | 'free' | 'missing'> {
  const file = await open(lock, OPEN_FLAGS).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  });
  if (file === undefined) return 'missing';
  try {
    if (!(await file.stat()).isFile()) return 'held';
    const path = `/proc/${process.pid}/fd/${file.fd}`;
    const args = ['--nonblock', '--conflict-exit-code', String(BUSY_STATUS), path, 'true'];
    const env = { PATH: process.env['PATH'] };
    const { code } = await runChild({ command: 'flock', args, env, signal });
    return code === 0 ? 'free' : 'held';
  } finally {
    await file.close();
  }
}

/** Of a maker that died before it had the lock. Anything else in there is not from us, and stays. */
async function removeUnlocked(top: string): Promise<boolean> {
  await rmdir(join(top, WORK_NAME)).catch(() => undefined);
  await rm(join(top, UNLOCKED_NAME), { force: true });
  return await rmdir(top).then(
    () => true,
    () => false,
  );
}
