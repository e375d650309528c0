import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RunStarted } from '../../src/domain/journal-entry.ts';
import { fakeProgram } from '../postgres/fake-program.ts';
import { expectListedVerify, openApp, openRuns } from '../support/aftermath.ts';
import { type Daemon, ROOT } from '../support/cofre.ts';
import { type TestServer, usingCluster } from '../support/postgres.ts';
import { descendantsOf, isAlive, processesWith } from '../support/processes.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Json, NEVER, Workspace } from '../support/workspace.ts';

const KILL_AT = join(ROOT, 'test/support/kill-at.ts');
/** Newer than any server. */
const FAKE_VERSION = '99.0';
const HANGS = `echo '-- PostgreSQL database dump'; sleep 1000`;
const WRITES_ON = `while :; do echo '-- PostgreSQL database dump'; sleep 0.05; done`;

/** Of this run alone: processes are found by it. */
const DATABASE = `shutdown_e2e_${process.pid}`;

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await usingCluster();
  url = await server.createDatabase(DATABASE);
  await server.psql(
    DATABASE,
    `CREATE TABLE noise (id int, data text);
     INSERT INTO noise SELECT n, md5(n::text) || md5((n * 7)::text) FROM generate_series(1, 60000) n;`,
  );
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** A workspace whose job `app` dumps the database, with a program of its own where `body` is given. */
async function withDump(dueIn_s: number | undefined, body: string | undefined, rest: Json = {}) {
  const workspace = new Workspace({ DATABASE_URI: url });
  const schedule = dueIn_s === undefined ? NEVER : workspace.dueIn(dueIn_s);
  await configureDump(workspace, schedule, body, rest);
  return { workspace, schedule };
}

async function configureDump(
  workspace: Workspace,
  schedule: string,
  body: string | undefined,
  rest: Json = {},
): Promise<void> {
  const binDir = join(workspace.dir, 'bin');
  if (body !== undefined) await fakeProgram(binDir, 'pg_dump', FAKE_VERSION, body);
  const source = { type: 'postgres', name: 'app', url: { env: 'DATABASE_URI' } };
  const sources = [body === undefined ? source : { ...source, binDir }];
  workspace.configure({ jobs: { app: { schedule, sources, ...rest } } });
}

function started(workspace: Workspace): RunStarted[] {
  return workspace
    .journal()
    .filter((entry) => entry.event === 'started' && entry.job === 'app') as RunStarted[];
}

async function waitForDump(daemon: Daemon, workspace: Workspace): Promise<void> {
  await daemon.waitForLog('the dump', ({ step, job }) => step === 'capture' && job === 'app');
  await waitFor('the program', () => processesWith(join(workspace.dir, 'bin/pg_dump')).length > 0);
}

/** Waited for, since the daemon that is running may just be writing the index. */
async function waitForOrder(workspace: Workspace): Promise<void> {
  await waitFor('nothing unfinished at the location', () => workspace.remains().length === 0);
}

test('SIGTERM during a dump: exit 0, cancelled, no partial, no child; made up for after the restart', async () => {
  const { workspace, schedule } = await withDump(2, HANGS);
  using _removed = workspace;
  {
    await using daemon = await workspace.startDaemon();
    await waitForDump(daemon, workspace);
    const children = descendantsOf(daemon.pid);
    expect(children.length).toBeGreaterThan(0);
    expect(await daemon.stop()).toEqual({ status: 0, signal: null });
    expect(children.filter(({ pid }) => isAlive(pid))).toEqual([]);
  }
  const [cancelled] = workspace.ended('app');
  expect(cancelled).toMatchObject({ outcome: 'cancelled', archives: [], errors: [{ code: 'CANCELLED' }] });
  expect(workspace.remains()).toEqual([]);
  expect(openRuns(workspace.journal())).toEqual([]);

  await configureDump(workspace, schedule, undefined);
  await using daemon = await workspace.startDaemon();
  const second = await waitFor('the run made up for', () => workspace.ended('app')[1]);
  expect(second).toMatchObject({ outcome: 'succeeded', due: cancelled?.due });
  expect(await daemon.stop()).toMatchObject({ status: 0 });
});

test('SIGTERM lets a run that is nearly done finish', async () => {
  const sources = [{ type: 'postgres', name: 'app', url: { env: 'DATABASE_URI' } }];
  using workspace = new Workspace({ DATABASE_URI: url });
  workspace.configure({
    jobs: { app: { schedule: workspace.dueIn(2), sources, hooks: { before: ['sleep', '1'] } } },
  });
  await using daemon = await workspace.startDaemon();
  await waitFor('the run', () => started(workspace).length === 1);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
  expect(workspace.ended('app')).toMatchObject([{ outcome: 'succeeded' }]);
});

test('SIGTERM does not wait for a hook that hangs', async () => {
  using workspace = new Workspace();
  workspace.configure({
    jobs: { app: workspace.filesJob(workspace.dueIn(2), 'tree', { hooks: { after: ['sleep', '1000'] } }) },
  });
  await using daemon = await workspace.startDaemon();
  await waitFor('the run', () => workspace.ended('app').length === 1);
  const children = await waitFor('the hook', () => {
    const found = descendantsOf(daemon.pid).filter(({ command }) => command === 'sleep 1000');
    return found.length > 0 ? found : undefined;
  });
  expect(await daemon.stop()).toEqual({ status: 0, signal: null });
  expect(children.filter(({ pid }) => isAlive(pid))).toEqual([]);
  expect(workspace.ended('app')).toMatchObject([{ outcome: 'succeeded' }]);
});

test('a daemon killed with -9 leaves no lock and no child, and the next one says what died', async () => {
  const { workspace } = await withDump(2, WRITES_ON, { catchUp: false });
  using _removed = workspace;
  let children: ReturnType<typeof descendantsOf>;
  {
    await using daemon = await workspace.startDaemon();
    await waitForDump(daemon, workspace);
    children = descendantsOf(daemon.pid);
    expect(children.map(({ command }) => command).join('\n')).toMatch(/^cat$/m);
    await daemon.stop('SIGKILL');
  }
  // At once: no waiting for a lock to be found stale.
  await using daemon = await workspace.startDaemon();
  await waitFor('the end of all children', () => children.every(({ pid }) => !isAlive(pid)));
  await waitForOrder(workspace);
  expect(workspace.ended('app')[0]).toMatchObject({ outcome: 'failed', errors: [{ code: 'INTERRUPTED' }] });
  expect((await daemon.health()).status).toBe(503);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
});

test('a crash does not loop: two attempts for one due time, then the next due time is waited for', async () => {
  const { workspace } = await withDump(2, WRITES_ON);
  using _removed = workspace;
  for (const attempt of [1, 2]) {
    await using daemon = await workspace.startDaemon();
    await waitFor(`attempt ${attempt}`, () => started(workspace).length === attempt);
    await daemon.stop('SIGKILL');
  }
  await using daemon = await workspace.startDaemon();
  const skipped = await waitFor('the skip', () =>
    workspace.ended('app').find(({ outcome }) => outcome === 'skipped'),
  );
  expect(skipped.errors).toMatchObject([{ code: 'SKIPPED' }]);
  const due = new Set(started(workspace).map((entry) => entry.due));
  expect([...due]).toEqual([skipped.due]);
  expect(started(workspace).length).toBe(2);
  expect((await daemon.health()).body.jobs).toMatchObject([{ job: 'app', running: false }]);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
});

test('two daemons on one location: the second exits 1 and says who holds it', async () => {
  using workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob() } });
  await using first = await workspace.startDaemon();
  await using second = workspace.spawnDaemon();
  expect(await second.exited).toEqual({ status: 1, signal: null });
  expect(second.stderr).toContain(`process ${first.pid} on `);
  expect(second.stderr).toContain(workspace.location);
  expect((await first.health()).status).toBe(200);
  expect(await first.stop()).toMatchObject({ status: 0 });
});

test('kill -9 while a database is dumped, committed or recorded: what is listed verifies, the next start is clean', async () => {
  const moments = [
    'before open .*partial',
    // A whole block of the archive: nothing else that is written is as large.
    'in the middle of write of 1048576',
    'before rename .*partial',
    'before rename .*json',
    'before rename .*metadata',
  ];
  const { workspace } = await withDump(undefined, undefined, { compression: 'none' });
  using _removed = workspace;
  const whole = await workspace.backup('app');
  for (const moment of moments) {
    const killed = await workspace.run(['backup', 'app'], {
      nodeArgs: ['--import', KILL_AT],
      env: { COFRE_TEST_KILL_AT: moment },
    });
    expect(killed.signal).toBe('SIGKILL');
    await expectListedVerify(await openApp(workspace));
  }
  await waitFor('the end of every pg_dump', () => processesWith(`${DATABASE}'`).length === 0);
  await using daemon = await workspace.startDaemon();
  await waitForOrder(workspace);
  expect(openRuns(workspace.journal())).toEqual([]);
  const backups = await workspace.list();
  // Of the five that were killed the last two had a manifest already.
  expect(backups.map(({ filename }) => filename)[0]).toBe(whole.filename);
  expect(backups.length).toBe(2);
  expect((await workspace.backup('app')).contents).toEqual(whole.contents);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
});

test('a torn last line of the journal is reported, closed by the next entry, and costs nothing else', async () => {
  using workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob(workspace.dueIn(4)) } });
  await workspace.backup('app');
  const journal = join(workspace.location, 'journal.jsonl');
  const odd = [
    'not JSON at all',
    '{"event":"ended","at":"2026-01-01T00:00:00Z","job":"app","run":"without-the-rest"}',
    '{"event":"ended","at":"2026-01-01T00:0',
  ];
  writeFileSync(journal, odd.join('\n'), { flag: 'a' });
  await using daemon = await workspace.startDaemon();
  const warning = daemon.log().find(({ step }) => step === 'journal');
  expect(warning).toMatchObject({ level: 'warn', lines: 3 });
  expect((await daemon.health()).body.jobs).toMatchObject([{ last_outcome: 'succeeded' }]);
  await waitFor('a scheduled run', () => workspace.ended('app').length === 2);
  expect(workspace.ended('app').map(({ outcome }) => outcome)).toEqual(['succeeded', 'succeeded']);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
});

test('what lies in the way of a start is swept or left alone, and keeps no daemon from starting', async () => {
  using workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob() } });
  const { filename } = await workspace.backup('app');
  const marked = filename.replace('_tree_', '_gone_');
  // A deletion whose archive cannot be unlinked: a directory has its name.
  mkdirSync(join(workspace.location, 'files', marked));
  writeFileSync(join(workspace.location, 'manifests', `${marked}.json.deleting`), '{}');
  writeFileSync(join(workspace.location, 'files', `.${filename}.partial`), 'half');
  writeFileSync(join(workspace.location, 'files', 'README'), 'not of cofre');
  await using daemon = await workspace.startDaemon();
  expect(workspace.stored()).toContain('files/README');
  expect(workspace.stored().filter((path) => path.endsWith('.partial'))).toEqual([]);
  expect((await daemon.health()).status).toBe(200);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
});
