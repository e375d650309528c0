import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fakeProgram } from '../postgres/fake-program.ts';
import { openRuns } from '../support/aftermath.ts';
import type { Daemon, RunOptions } from '../support/cofre.ts';
import { type TestServer, usingCluster } from '../support/postgres.ts';
import { descendantsOf, processesWith } from '../support/processes.ts';
import { smallDisk } from '../support/small-disk.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Json, Workspace } from '../support/workspace.ts';

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
