import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import { acquireKernelLock, type KernelLock } from '../../src/lib/kernel-lock.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { isRoot } from '../support/file-tree.ts';
import { plantLink } from '../support/planted-link.ts';
import { descendantsOf, isAlive } from '../support/processes.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';
import { waitFor } from '../support/wait-for.ts';

const MODULE = join(import.meta.dirname, '../../src/lib/kernel-lock.ts');

function acquire(path: string, wait_ms = 0, signal: AbortSignal = NO_ABORT): Promise<KernelLock> {
  return acquireKernelLock({ path, wait_ms, owner: undefined, signal });
}

async function lockPath(): Promise<string> {
  return join(await temporaryDirectory(), 'run.app');
}

/** Another process of ours that takes the lock and holds it until it is killed. */
async function startHolder(path: string) {
  const code = `
    const { acquireKernelLock } = await import(${JSON.stringify(MODULE)});
    const signal = new AbortController().signal;
    await acquireKernelLock({ path: ${JSON.stringify(path)}, wait_ms: 0, owner: undefined, signal });
    console.log('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

/** The process that holds a lock for us. */
function helperOf(path: string): number {
  const holders = descendantsOf(process.pid).filter(
    ({ command }) => command === 'cat' || command.includes(path),
  );
  const [holder] = holders;
  if (holder === undefined || holders.length > 1) throw new Error(`expected one holder of ${path}`);
  return holder.pid;
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('a lock', () => {
  test('has one holder at a time, in one process as well', async () => {
    const path = await lockPath();
    const lock = await acquire(path);
    await expect(acquire(path)).rejects.toMatchObject({ code: 'LOCK_BUSY', path });
    await lock[Symbol.asyncDispose]();
    expect(lock.lost.aborted).toBe(false);
    await using again = await acquire(path);
    expect(again.path).toBe(path);
  });

  test('is respected by flock(1), as by containers that share the volume', async () => {
    const path = await lockPath();
    await using lock = await acquire(path);
    expect(spawnSync('flock', ['--nonblock', lock.path, 'true']).status).toBe(1);
  });

  test('is waited for, and given to who waits when it is free', async () => {
    const path = await lockPath();
    const first = await acquire(path);
    const waiting = acquire(path, 20_000);
    const early = await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 100, 'early'))]);
    expect(early).toBe('early');
    await first[Symbol.asyncDispose]();
    await using second = await waiting;
    expect(second.lost.aborted).toBe(false);
  });

  test('that stays busy is given up after the wait', async () => {
    const path = await lockPath();
    await using lock = await acquire(path);
    await expect(acquire(lock.path, 150)).rejects.toMatchObject({
      code: 'LOCK_BUSY',
      message: expect.stringContaining(path) as string,
    });
  });

  test('waiting for it ends with the abort', async () => {
    const path = await lockPath();
    await using lock = await acquire(path);
    const controller = new AbortController();
    const reason = new BackupError('CANCELLED', 'stopped');
    const waiting = acquire(lock.path, 600_000, controller.signal);
    setTimeout(() => controller.abort(reason), 50);
    await expect(waiting).rejects.toBe(reason);
    // One that was aborted before does not even start to wait.
    await expect(acquire(lock.path, 600_000, controller.signal)).rejects.toBe(reason);
  });

  test('is freed by the kernel when its holder is killed, and the helper goes too', async () => {
    const path = await lockPath();
    const holder = await startHolder(path);
    await expect(acquire(path)).rejects.toMatchObject({ code: 'LOCK_BUSY' });
    const helpers = descendantsOf(holder.pid ?? -1).map(({ pid }) => pid);
    expect(helpers.length).toBeGreaterThan(0);
    holder.kill('SIGKILL');
    await using lock = await acquire(path, 20_000);
    expect(lock.lost.aborted).toBe(false);
    await waitFor('the helper to end', () => !helpers.some(isAlive));
  });

  test('that goes away while it is held is told', async () => {
    const path = await lockPath();
    const lock = await acquire(path);
    process.kill(helperOf(path), 'SIGKILL');
    await waitFor('the loss', () => lock.lost.aborted);
    expect(lock.lost.reason).toMatchObject({ code: 'LOCK_LOST', path });
    await lock[Symbol.asyncDispose]();
  });

  test('has a file that only its owner reads, and whose text is left alone', async () => {
    const path = await lockPath();
    await using lock = await acquire(path);
    expect((await stat(lock.path)).mode & 0o777).toBe(0o600);
  });
});

describe('a machine or a place where locks do not work', () => {
  test('a link planted at the lock file is refused, and what it leads to keeps its owner', async () => {
    const path = join(await temporaryDirectory(), '.locks', 'catalogue');
    const victim = await plantLink(path);
    const before = await victim.state();
    const owner = isRoot ? { uid: 12_345, gid: 12_346 } : undefined;
    const acquiring = acquireKernelLock({ path, wait_ms: 0, owner, signal: NO_ABORT });
    await expect(acquiring).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE', path });
    expect(await victim.state()).toEqual(before);
  });

  test('without flock it is TOOL_MISSING', async () => {
    const path = await lockPath();
    vi.stubEnv('PATH', '/nonexistent');
    await expect(acquire(path)).rejects.toMatchObject({ code: 'TOOL_MISSING', path: 'flock' });
  });

  test('where no lock file can be made it is LOCATION_UNUSABLE', async () => {
    const path = join(await temporaryDirectory(), 'missing', 'daemon');
    await expect(acquire(path)).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE', path });
  });
});
