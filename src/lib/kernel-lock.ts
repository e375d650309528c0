import { BackupError } from '../domain/errors.ts';
import { NEVER } from './abort.ts';
import { type Child, startChild } from './child.ts';
import { openOwnFile } from './owned-file.ts';
import { adoptFile, type Owner } from './ownership.ts';

const CONFLICT_STATUS = 75;

/**
 * An flock(2) held by a child (`flock FILE cat`, util-linux) whose stdin is a pipe of ours. When we die in
 * whatever way, the pipe closes, `cat` ends and the kernel frees the lock; nothing stale can be left.
 */
export interface KernelLock extends AsyncDisposable {
  readonly path: string;
  /** Aborts with LOCK_LOST when the lock goes away while we still want it. */
  readonly lost: AbortSignal;
}

export interface KernelLockOptions {
  path: string;
  /** How long to wait for another holder; 0 gives up at once. */
  wait_ms: number;
  owner: Owner;
  signal: AbortSignal;
  /** Held together with others who share it; who wants it alone waits for all of them. Default: false. */
  shared?: boolean;
}

/** Takes the lock, or throws LOCK_BUSY after the wait, LOCATION_UNUSABLE where locking does not work. */
export async function acquireKernelLock(options: KernelLockOptions): Promise<KernelLock> {
  const { path } = options;
  options.signal.throwIfAborted();
  await createLockFile(path, options.owner);
  const patience = options.wait_ms === 0 ? ['--nonblock'] : ['--timeout', String(options.wait_ms / 1000)];
  const child = await startChild({
    command: 'flock',
    args: [
      options.shared === true ? '--shared' : '--exclusive',
      ...patience,
      '--conflict-exit-code',
      String(CONFLICT_STATUS),
      '--no-fork',
      path,
      'cat',
    ],
    env: { PATH: process.env.PATH },
    // The lock must outlive a cancelled run until its files are cleaned up; only release() ends it.
    signal: NEVER,
    stdin: 'pipe',
    label: 'flock',
  });
  const giveUp = () => child.kill();
  options.signal.addEventListener('abort', giveUp, { once: true });
  if (options.signal.aborted) giveUp();
  try {
    await awaitEcho(child, path, options.signal);
  } finally {
    options.signal.removeEventListener('abort', giveUp);
  }
  return hold(child, path);
}

/** `cat` echoes a byte once it runs, and it runs once `flock` has the lock. */
async function awaitEcho(child: Child, path: string, signal: AbortSignal): Promise<void> {
  child.stdin?.write('\n');
  const echoed = new Promise<true>((resolve) => child.stdout.once('data', () => resolve(true)));
  const first = await Promise.race([echoed, child.exited]);
  if (first === true && !signal.aborted) return;
  child.kill();
  await child.exited;
  signal.throwIfAborted();
  if (first !== true && first.code === CONFLICT_STATUS) {
    throw new BackupError('LOCK_BUSY', `another process holds the lock ${path}`, {
      path,
      hint: 'Wait until it is done, or look for a second cofre that uses this location.',
    });
  }
  throw new BackupError('LOCATION_UNUSABLE', `flock does not work on ${path}: ${child.stderrTail()}`, {
    path,
    hint: 'Use a file system with working flock(2); over NFS it needs version 4 and a running lock service.',
  });
}

function hold(child: Child, path: string): KernelLock {
  const lost = new AbortController();
  let released = false;
  void child.exited.then(() => {
    if (released) return;
    lost.abort(
      new BackupError('LOCK_LOST', `the lock ${path} was lost: the process holding it for us ended`, {
        path,
        hint: 'Something killed the helper process `cat`; look in the system log. The run can be repeated.',
      }),
    );
  });
  return {
    path,
    lost: lost.signal,
    [Symbol.asyncDispose]: async () => {
      released = true;
      child.stdin?.end();
      await child.exited;
    },
  };
}

async function createLockFile(path: string, owner: Owner): Promise<void> {
  try {
    const file = await openOwnFile(path, owner);
    try {
      await adoptFile(file, owner);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof BackupError) throw error;
    throw new BackupError(
      'LOCATION_UNUSABLE',
      `the lock file ${path} cannot be created: ${(error as Error).message}`,
      {
        path,
        hint: 'Give the user that runs cofre write access to the location.',
        cause: error,
      },
    );
  }
}
