import { chmod, mkdir, readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import { clusterScratch } from '../../src/scratch/cluster-scratch.ts';
import { makeScratchDirectory } from '../../src/scratch/scratch-directory.ts';
import { ScratchCluster } from '../../src/scratch/scratch-cluster.ts';
import { endServersIn, serverProcessesIn } from '../../src/scratch/server-processes.ts';
import { findServerPrograms } from '../../src/scratch/server-programs.ts';
import { sweepScratch } from '../../src/scratch/sweep-scratch.ts';
import { runPsql, startCluster } from '../../tools/cluster.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { isRoot } from '../support/file-tree.ts';
import { withoutPrivileges } from '../support/privileges.ts';
import { isAlive, processesWith } from '../support/processes.ts';
import { smallDisk } from '../support/small-disk.ts';
import { namesIn, temporaryDirectory } from '../support/temp-directory.ts';
import { waitFor } from '../support/wait-for.ts';
import { startHolder } from './holder.ts';

const NOBODY = 65_534;
/** It does not wait for anything, and so does not notice by itself that the postmaster is gone. */
const BUSY = 'SELECT count(*) FROM generate_series(1, 1000000000)';
const WISH = {
  major: 0,
  needs: { roles: [], superusers: [], extensions: [], tablespaces: [] },
  raw_size: 0,
};
const programs = await findServerPrograms(0, { env: process.env, signal: NO_ABORT });

/** A parent that the server's user can pass through. */
async function openParent(): Promise<string> {
  const parent = await temporaryDirectory();
  await chmod(parent, 0o1777);
  return parent;
}

async function startIn(parent: string, signal: AbortSignal = NO_ABORT) {
  const stack = new AsyncDisposableStack();
  onTestFinished(async () => await stack.disposeAsync());
  const directory = stack.use(await makeScratchDirectory(parent, signal));
  const cluster = stack.use(await ScratchCluster.start({ programs, directory, signal }));
  return { directory, cluster, end: async () => await stack.disposeAsync() };
}

async function psql(url: string, sql: string): Promise<string> {
  return await runPsql(programs.directory, url, sql);
}

/** A process that has let go of its files, and so of its directory, still exists for a moment. */
async function areGone(servers: readonly { pid: number }[]): Promise<void> {
  await waitFor('the servers to end', () => !servers.some(({ pid }) => isAlive(pid)));
}

function postmasterOf(servers: readonly { pid: number; parent: number }[]): number {
  const ids = new Set(servers.map(({ pid }) => pid));
  const found = servers.find(({ parent }) => !ids.has(parent));
  if (found === undefined) throw new Error('there is no postmaster');
  return found.pid;
}

describe('a scratch cluster', () => {
  test('is up, on a socket only, for bulk loading, and gone when it is disposed of', async () => {
    const parent = await openParent();
    const { cluster, directory, end } = await startIn(parent);
    const url = cluster.urlOf('postgres');
    const shown = async (name: string) => await psql(url, `SHOW ${name}`);
    expect(await shown('server_version')).toBe(cluster.version);
    expect(cluster.major).toBe(programs.major);
    expect(await shown('data_directory')).toBe(join(directory.path, 'data'));
    expect(await shown('listen_addresses')).toBe('');
    for (const name of [
      'fsync',
      'synchronous_commit',
      'full_page_writes',
      'archive_mode',
      'autovacuum',
      'jit',
    ]) {
      expect([name, await shown(name)]).toEqual([name, 'off']);
    }
    expect(await shown('wal_level')).toBe('minimal');
    expect(await shown('dynamic_shared_memory_type')).toBe('mmap');
    expect(await shown('lc_messages')).toBe('C');
    expect(await psql(url, 'SELECT rolsuper FROM pg_roles WHERE rolname = current_user')).toBe('t');
    const servers = await serverProcessesIn(directory.path);
    expect(servers.length).toBeGreaterThan(1);
    for (const { pid } of servers) expect((await stat(`/proc/${pid}`)).uid).not.toBe(0);
    for (const name of ['s', 'data'])
      expect((await stat(join(directory.path, name))).mode & 0o777).toBe(0o700);
    expect(cluster.lastWords()).toBeUndefined();
    await end();
    await areGone(servers);
    expect(await namesIn(parent)).toEqual([]);
  });

  test('ends also while a client keeps it busy', async () => {
    const parent = await openParent();
    const { cluster, end } = await startIn(parent);
    const running = psql(cluster.urlOf('postgres'), 'SELECT pg_sleep(600)');
    const busy = running.catch((error: unknown) => String(error));
    await waitFor(
      'the query',
      () =>
        processesWith('pg_sleep').length === 0 && processesWith('postgres: cofre drill: postgres').length > 0,
    );
    await end();
    expect(await busy).toMatch(/terminating connection|server closed the connection/);
    expect(await namesIn(parent)).toEqual([]);
  });

  test('that ended by itself tells its last words', async () => {
    const { cluster, directory, end } = await startIn(await openParent());
    const servers = await serverProcessesIn(directory.path);
    process.kill(postmasterOf(servers), 'SIGINT');
    const words = await waitFor('the end', () => cluster.lastWords());
    expect(words).toMatch(/fast shutdown request|database system is shut down/);
    await end();
  });

  test('lies where a socket cannot: in a path that is too long, or with a comma', async () => {
    for (const name of ['n'.repeat(100), "a,b 'c' \\ü"]) {
      const parent = join(await openParent(), name);
      await mkdir(parent);
      const { cluster, directory, end } = await startIn(parent);
      expect(await psql(cluster.urlOf('postgres'), 'SHOW data_directory')).toBe(join(directory.path, 'data'));
      const socket = decodeURIComponent(/@([^/]+)\//.exec(cluster.urlOf('postgres'))?.[1] ?? '');
      expect(await readdir(socket)).toContain('.s.PGSQL.5432');
      expect(dirname(dirname(dirname(socket)))).toBe('/tmp');
      await end();
      expect(await namesIn(parent)).toEqual([]);
      await expect(stat(dirname(dirname(socket)))).rejects.toMatchObject({ code: 'ENOENT' });
    }
  });

  test('that is out of reach for its user is not provable', async ({ skip }) => {
    if (!isRoot) skip();
    const parent = await temporaryDirectory();
    await expect(startIn(parent)).rejects.toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining('cannot reach') as string,
      hint: expect.stringContaining('scratch.directory') as string,
    });
  });

  test('is stopped in the middle of its making, and nothing is left', async () => {
    const reason = new BackupError('CANCELLED', 'stopped');
    for (const step of ['PG_VERSION', 'global/pg_control', 'base/1/PG_VERSION']) {
      const parent = await openParent();
      const controller = new AbortController();
      const opening = clusterScratch({ parent })(WISH, controller.signal).then(
        () => 'opened',
        (error: unknown) => error,
      );
      await waitFor(step, async () => {
        const [name = ''] = await readdir(parent);
        await stat(join(parent, name, 'w', 'data', step));
        return true;
      });
      expect(processesWith(parent).length).toBeGreaterThan(0);
      controller.abort(reason);
      expect(await opening).toBe(reason);
      expect(processesWith(parent)).toEqual([]);
      expect(await namesIn(parent)).toEqual([]);
    }
  });
});

describe('the death of its maker', () => {
  test('ends a server within moments, and the sweep removes what is left', async () => {
    const parent = await openParent();
    const holder = await startHolder({ what: 'cluster', parent });
    await psql(holder.url, 'CREATE TABLE t AS SELECT generate_series(1, 100000)');
    const [name = ''] = await namesIn(parent);
    const servers = await serverProcessesIn(join(parent, name));
    expect(servers.length).toBeGreaterThan(1);
    const busy = psql(holder.url, BUSY).catch(() => 'ended');
    expect(await sweepScratch(parent, NO_ABORT)).toEqual([]);
    await holder.kill();
    await areGone(servers);
    expect(await busy).toBe('ended');
    expect(await sweepScratch(parent, NO_ABORT)).toEqual([join(parent, name)]);
    expect(await namesIn(parent)).toEqual([]);
  });

  test('the sweep ends a server that is still there, as it may be where there is no setpriv', async () => {
    const parent = await openParent();
    const holder = await startHolder({ what: 'directory', parent });
    for (const path of [holder.path, dirname(holder.path)]) await chmod(path, 0o777);
    await using server = await startCluster({ parent: holder.path });
    await holder.kill();
    const servers = await serverProcessesIn(dirname(holder.path));
    expect(await psql(server.url, 'SELECT 1')).toBe('1');
    expect(await sweepScratch(parent, NO_ABORT)).toEqual([dirname(holder.path)]);
    expect(servers.length).toBeGreaterThan(1);
    await areGone(servers);
    expect(await namesIn(parent)).toEqual([]);
  });

  test('what does not answer is killed, and the backends of a dead postmaster too', async () => {
    const { directory, cluster } = await startIn(await openParent());
    const busy = psql(cluster.urlOf('postgres'), BUSY).catch(() => 'ended');
    await waitFor('the query', async () => (await serverProcessesIn(directory.path)).length > 5);
    const servers = await serverProcessesIn(directory.path);
    process.kill(postmasterOf(servers), 'SIGSTOP');
    await endServersIn(directory.path, 50);
    await areGone(servers);
    expect(await busy).toBe('ended');
  });

  test('the sweep leaves alone who merely stands in the directory', async () => {
    const parent = await openParent();
    const holder = await startHolder({ what: 'directory', parent });
    const bystander = await startHolder({ what: 'directory', parent: await temporaryDirectory() }, [
      'env',
      `--chdir=${holder.path}`,
    ]);
    await holder.kill();
    expect((await sweepScratch(parent, NO_ABORT)).length).toBe(1);
    expect(isAlive(bystander.pid)).toBe(true);
    await bystander.release();
  });
});

describe('who runs it', () => {
  test.runIf(isRoot)('an unprivileged user does so itself', async () => {
    const parent = await openParent();
    const holder = await startHolder({ what: 'cluster', parent, uid: NOBODY });
    expect(holder.error).toBeUndefined();
    const [name = ''] = await namesIn(parent);
    const servers = await serverProcessesIn(join(parent, name));
    expect(servers.length).toBeGreaterThan(1);
    for (const { pid } of servers) expect((await stat(`/proc/${pid}`)).uid).toBe(NOBODY);
    await holder.release();
    expect(await namesIn(parent)).toEqual([]);
  });

  test.runIf(isRoot)('a user without a name cannot, and is told so', async () => {
    const parent = await openParent();
    const holder = await startHolder({ what: 'cluster', parent, uid: 12_345 });
    expect(holder.error).toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining('12345') as string,
      hint: expect.stringContaining('/etc/passwd') as string,
    });
    expect(await namesIn(parent)).toEqual([]);
  });

  test.runIf(isRoot)('root that may not become another user cannot, and is told so', async () => {
    const parent = await openParent();
    const holder = await startHolder({ what: 'cluster', parent }, withoutPrivileges());
    expect(holder.error).toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining('root may not become another user') as string,
    });
    expect(await namesIn(parent)).toEqual([]);
  });
});

describe('a disk that is full', () => {
  test('is told, whatever ran into it, and nothing is left', async ({ skip }) => {
    const path = join(await openParent(), 'disk');
    using disk = smallDisk(path, 30 * 1024 * 1024, true);
    if (disk.kind !== 'tmpfs') skip();
    await chmod(path, 0o1777);
    const directory = await makeScratchDirectory(path, NO_ABORT);
    await expect(ScratchCluster.start({ programs, directory, signal: NO_ABORT })).rejects.toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining('No space left on device') as string,
    });
    expect(await serverProcessesIn(directory.path)).toEqual([]);
    await directory[Symbol.asyncDispose]();
    disk.fill();
    await expect(makeScratchDirectory(path, NO_ABORT)).resolves.toBeDefined();
    disk.free();
    expect((await namesIn(path)).length).toBe(1);
  });
});
