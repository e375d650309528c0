import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fakeProgram } from '../postgres/fake-program.ts';
import { openRuns } from '../support/aftermath.ts';
import { SOCKET_ERROR } from '../support/breaking-sockets.ts';
import { type Daemon, ROOT, type RunOptions } from '../support/cofre.ts';
import { type TestServer, usingCluster } from '../support/postgres.ts';
import { descendantsOf, isAlive, processesWith } from '../support/processes.ts';
import { smallDisk } from '../support/small-disk.ts';
import { noise } from '../support/varied-bytes.ts';
import { waitFor } from '../support/wait-for.ts';
import { type BackupAnswer, type Json, NEVER, Workspace } from '../support/workspace.ts';

const MEBIBYTE = 1024 * 1024;
/** What the full location takes, and what no compression makes fit into it. */
const DISK_BYTES = 6 * MEBIBYTE;
const DATA_BYTES = 24 * MEBIBYTE;
const COMPRESSIONS = ['gzip', 'zstd'];
/** Newer than any server. */
const FAKE_VERSION = '99.0';
const HEAD = "echo '-- PostgreSQL database dump'; ";
const ENDLESS = `${HEAD} exec yes -- '-- and so on'`;
/** Killed as for want of memory, with megabytes under way. */
const DIES = `${HEAD} yes -- '-- and so on' | head -c ${DATA_BYTES}; kill -KILL $$`;

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await usingCluster();
  url = await server.createDatabase('pipeline_e2e');
  // Bytes that no codec makes smaller; in hex they are twice as many.
  await server.psql(
    'pipeline_e2e',
    `CREATE TABLE noise (data bytea);
     INSERT INTO noise SELECT string_agg(sha256((n * 1000 + m)::text::bytea), '')
       FROM generate_series(1, ${DATA_BYTES / 32_000}) n, generate_series(1, 1000) m GROUP BY n;`,
  );
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** A daemon whose job `app` runs once, soon, and the entry that its run leaves in the journal. */
async function runOnce(workspace: Workspace, sources: Json[], rest: Json, options: Partial<RunOptions> = {}) {
  workspace.configure({ jobs: { app: { schedule: workspace.dueIn(1), sources, retries: 0, ...rest } } });
  const daemon = await workspace.startDaemon(options);
  const ended = await waitFor('the end of the run', () => workspace.ended('app')[0]);
  return { daemon, ended };
}

/** Threads of the daemon that pack files; libuv's and V8's own stay for the life of the process. */
function packingThreads({ pid }: Daemon): number {
  return readdirSync(`/proc/${pid}/task`).filter(
    (id) => readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim() === 'cofre-pack',
  ).length;
}

/** The daemon goes on, with the child that holds its lock and no other, and nothing is unfinished. */
async function expectNothingLeft(daemon: Daemon, workspace: Workspace): Promise<void> {
  // The locks of the run are released behind the line in the journal.
  await waitFor('the children of the run to be gone', () => descendantsOf(daemon.pid).length === 1);
  expect(descendantsOf(daemon.pid).map(({ command }) => command)).toEqual(['cat']);
  expect(packingThreads(daemon)).toBe(0);
  expect(workspace.remains()).toEqual([]);
  expect(openRuns(workspace.journal())).toEqual([]);
  expect((await workspace.list()).length).toBe(0);
  expect(await daemon.stop()).toEqual({ status: 0, signal: null });
}

describe.each(COMPRESSIONS)('in the middle of a backup through %s', (compression) => {
  test.each(['postgres', 'files'])('a disk that is full fails a run of %s', async (type) => {
    using workspace = new Workspace({ DATABASE_URI: url });
    using disk = smallDisk(join(workspace.dir, 'disk'), DISK_BYTES, true);
    workspace.location = join(disk.path, 'location');
    writeFileSync(join(workspace.tree, 'noise'), randomBytes(DATA_BYTES));
    const database = { type, name: 'app', url: { env: 'DATABASE_URI' } };
    const sources = [type === 'files' ? workspace.files('app') : database];
    const { daemon, ended } = await runOnce(workspace, sources, { compression }, disk.options);
    await using _stopped = daemon;
    expect(ended).toMatchObject({ outcome: 'failed', archives: [], errors: [{ code: 'DISK_FULL' }] });
    await expectNothingLeft(daemon, workspace);
  });

  test.each(['postgres', 'files'])('the end of its time fails a run of %s', async (type) => {
    using workspace = new Workspace({ DATABASE_URI: url });
    const binDir = join(workspace.dir, 'bin');
    await fakeProgram(binDir, 'pg_dump', FAKE_VERSION, ENDLESS);
    // No block of it is on the disk, and reading it takes minutes.
    truncateSync(join(workspace.tree, 'note.txt'), 1024 * 1024 * MEBIBYTE);
    const database = { type, name: 'app', url: { env: 'DATABASE_URI' }, binDir };
    const sources = [type === 'files' ? workspace.files('app') : database];
    const { daemon, ended } = await runOnce(workspace, sources, { compression, timeout: '2s' });
    await using _stopped = daemon;
    expect(ended).toMatchObject({ outcome: 'failed', archives: [], errors: [{ code: 'TIMEOUT' }] });
    await expectNothingLeft(daemon, workspace);
    expect(processesWith(binDir)).toEqual([]);
  });

  test('a dump that dies fails its run, whatever it had written', async () => {
    using workspace = new Workspace({ DATABASE_URI: url });
    const binDir = join(workspace.dir, 'bin');
    await fakeProgram(binDir, 'pg_dump', FAKE_VERSION, DIES);
    const sources = [{ type: 'postgres', name: 'app', url: { env: 'DATABASE_URI' }, binDir }];
    const { daemon, ended } = await runOnce(workspace, sources, { compression });
    await using _stopped = daemon;
    expect(ended).toMatchObject({ outcome: 'failed', archives: [], errors: [{ code: 'TOOL_FAILED' }] });
    await expectNothingLeft(daemon, workspace);
  });
});

/**
 * A source of each kind that begins with megabytes that no codec makes much smaller, and never ends: files of no blocks
 * on the disk, a program that writes on and on.
 */
async function endless(workspace: Workspace): Promise<Record<string, Json>> {
  const binDir = join(workspace.dir, 'bin');
  const beginning = join(workspace.tree, 'beginning');
  writeFileSync(beginning, `-- ${noise(3 * MEBIBYTE).toString('hex')}\n`);
  // It goes on when nobody reads it any more, as a program does that is at work on something else.
  const goesOn = `while [ -e ${beginning} ]; do yes -- '-- and so on' | head -c ${MEBIBYTE}; done 2>/dev/null`;
  await fakeProgram(binDir, 'pg_dump', FAKE_VERSION, `${HEAD} trap '' PIPE; cat ${beginning}; ${goesOn}`);
  truncateSync(join(workspace.tree, 'note.txt'), 1024 * 1024 * MEBIBYTE);
  return {
    postgres: { type: 'postgres', name: 'app', url: { env: 'DATABASE_URI' }, binDir },
    files: workspace.files('files'),
  };
}

test('a packing thread that dies and a socket that breaks fail the run, each with its code; the daemon goes on', async () => {
  using workspace = new Workspace({ DATABASE_URI: url });
  const { postgres, files } = await endless(workspace);
  const sources = [postgres ?? {}, files ?? {}];
  const { daemon, ended } = await runOnce(
    workspace,
    sources,
    { compression: 'zstd' },
    { nodeArgs: ['--import', join(ROOT, 'test/support/break-midway.ts')] },
  );
  await using _stopped = daemon;
  expect(ended).toMatchObject({
    outcome: 'failed',
    archives: [],
    errors: [
      { source: 'app', code: 'IO_FAILED', message: `pg_dump: ${SOCKET_ERROR}` },
      {
        source: 'files',
        code: 'INTERNAL',
        message: 'the packing thread died: it ended before the archive did',
      },
    ],
  });
  await expectNothingLeft(daemon, workspace);
  expect(processesWith(workspace.dir)).toEqual([]);
});

test.each(['postgres', 'files'])('SIGTERM in the middle of a backup of %s without an end', async (type) => {
  using workspace = new Workspace({ DATABASE_URI: url });
  const sources = [(await endless(workspace))[type] ?? {}];
  workspace.configure({ jobs: { app: { schedule: NEVER, sources, compression: 'gzip' } } });
  const { promise: started, resolve: onStart } = Promise.withResolvers<ChildProcess>();
  const running = workspace.run(['backup', 'app'], { onStart });
  const program = await started;
  let children: ReturnType<typeof descendantsOf> = [];
  try {
    await waitFor('the archive to grow', () => partialBytes(workspace) >= MEBIBYTE);
    children = descendantsOf(program.pid ?? -1);
  } finally {
    program.kill('SIGTERM');
  }
  const finished = await running;
  expect(finished).toMatchObject({ status: 1, signal: null });
  expect(finished.json<BackupAnswer>().runs).toMatchObject([
    { outcome: 'cancelled', archives: [], errors: [{ code: 'CANCELLED' }] },
  ]);
  expect(children.length).toBeGreaterThan(0);
  expect(children.filter((child) => isAlive(child.pid))).toEqual([]);
  expect(processesWith(workspace.dir)).toEqual([]);
  expect(workspace.remains()).toEqual([]);
  expect(workspace.ended('app')).toMatchObject([{ outcome: 'cancelled' }]);
  expect(openRuns(workspace.journal())).toEqual([]);
});

/** The size of what is being written, while something is. */
function partialBytes(workspace: Workspace): number {
  const sizes = workspace.remains().map((path) => statSync(join(workspace.location, path)).size);
  return Math.max(0, ...sizes);
}

test('without a directory for temporary files a dump is read through a pipe', async () => {
  const small = await server.createDatabase('pipeline_small');
  await server.psql('pipeline_small', 'CREATE TABLE few AS SELECT generate_series(1, 3000) n;');
  using workspace = new Workspace({ DATABASE_URI: small, TMPDIR: '/nonexistent' });
  const sources = [{ type: 'postgres', name: 'app', url: { env: 'DATABASE_URI' } }];
  workspace.configure({ jobs: { app: { schedule: NEVER, sources, compression: 'zstd' } } });
  const manifest = await workspace.backup('app');
  expect(manifest).toMatchObject({ contents: { tables: [{ name: 'few', rows: 3_000 }] } });
  expect(manifest.verification).toMatchObject({ level: 'contents', ok: true });
});
