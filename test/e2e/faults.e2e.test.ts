import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fakeProgram } from '../postgres/fake-program.ts';
import { type TestServer, usingCluster } from '../support/postgres.ts';
import { withoutPrivileges } from '../support/privileges.ts';
import {
  type BackupAnswer,
  corruptByte,
  type ErrorAnswer,
  type Json,
  NEVER,
  type VerifyAnswer,
  Workspace,
} from '../support/workspace.ts';

const FAKE_VERSION = '99.0';

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await usingCluster();
  url = await server.createDatabase('faults_e2e');
  await server.psql('faults_e2e', 'CREATE TABLE things (id int); INSERT INTO things VALUES (1), (2);');
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

function database(name: string, rest: Json = {}): Json {
  return { type: 'postgres', name, url: { env: 'DATABASE_URI' }, ...rest };
}

/** Everything at the location with its content, but for locks. */
function snapshot(workspace: Workspace): Record<string, string> {
  return Object.fromEntries(
    workspace.stored().map((path) => [path, readFileSync(join(workspace.location, path), 'latin1')]),
  );
}

/** How a pg_dump can fail: what its script does, and what the run must say. */
const BROKEN_DUMPS = [
  {
    name: 'exits with status 1',
    body: `echo 'half a dump'; echo 'the disk of the server is gone' >&2; exit 1`,
    code: 'TOOL_FAILED',
    says: 'the disk of the server is gone',
  },
  { name: 'is killed', body: `echo 'half a dump'; kill -KILL $$`, code: 'TOOL_FAILED', says: 'SIGKILL' },
  {
    name: 'ends half-way with status 0',
    body: `printf -- '--\\n-- PostgreSQL database dump\\n--\\n\\nCREATE TABLE half ('; exit 0`,
    code: 'DUMP_TRUNCATED',
    says: '',
  },
  { name: 'writes nothing with status 0', body: 'exit 0', code: 'DUMP_EMPTY', says: '' },
] as const;

test.each(BROKEN_DUMPS)(
  'a failed dump counted as success: not one that $name',
  async ({ body, code, says }) => {
    using workspace = new Workspace({ DATABASE_URI: url });
    const binDir = join(workspace.dir, 'bin');
    await fakeProgram(binDir, 'pg_dump', FAKE_VERSION, body);
    // The broken one stands first: the others must not suffer from it.
    const sources = [database('broken', { binDir }), database('good'), workspace.files()];
    workspace.configure({ jobs: { app: { schedule: NEVER, sources } } });
    const finished = await workspace.run(['backup', 'app']);
    expect(finished.status).toBe(1);
    const [run] = finished.json<BackupAnswer>().runs;
    expect(run).toMatchObject({ outcome: 'failed', errors: [{ source: 'broken', code }] });
    expect(run?.errors.length).toBe(1);
    expect(run?.errors[0]?.message).toContain(says);
    expect((await workspace.list()).map(({ source }) => source)).toEqual(['good', 'tree']);
    expect(workspace.remains()).toEqual([]);
    expect(workspace.stored().join()).not.toContain('broken');
    expect(workspace.ended('app')).toMatchObject([{ outcome: 'failed' }]);
  },
);

test('one failing database aborts the rest: not when pg_dump is missing for it, or its server cannot be reached', async () => {
  using workspace = new Workspace({ DATABASE_URI: url, NOWHERE: 'postgresql://nobody@127.0.0.1:1/nowhere' });
  const binDir = join(workspace.dir, 'empty');
  mkdirSync(binDir);
  const unreachable = { type: 'postgres', name: 'unreachable', url: { env: 'NOWHERE' } };
  const sources = [database('toolless', { binDir }), unreachable, database('good')];
  workspace.configure({
    retries: 0,
    jobs: { app: { schedule: NEVER, sources }, other: workspace.filesJob() },
  });
  const finished = await workspace.run(['backup']);
  expect(finished.status).toBe(1);
  const { runs, success } = finished.json<BackupAnswer>();
  expect(success).toBe(false);
  expect(runs.map(({ job, outcome }) => [job, outcome])).toEqual([
    ['app', 'failed'],
    ['other', 'succeeded'],
  ]);
  expect(runs[0]?.errors.map(({ source, code }) => [source, code])).toEqual([
    ['toolless', 'TOOL_MISSING'],
    ['unreachable', 'SERVER_UNREACHABLE'],
  ]);
  for (const { hint } of runs[0]?.errors ?? []) expect(hint).toBeTruthy();
  expect((await workspace.list()).map(({ source }) => source).sort()).toEqual(['good', 'tree']);
});

test('a dump that hangs is ended by the timeout of its job, with its children', async () => {
  using workspace = new Workspace({ DATABASE_URI: url });
  const binDir = join(workspace.dir, 'bin');
  await fakeProgram(binDir, 'pg_dump', FAKE_VERSION, `echo '--'; sleep 1000`);
  const sources = [database('hanging', { binDir }), workspace.files()];
  workspace.configure({ jobs: { app: { schedule: NEVER, sources, timeout: '2s' } } });
  const finished = await workspace.run(['backup', 'app']);
  expect(finished.status).toBe(1);
  const [run] = finished.json<BackupAnswer>().runs;
  expect(run).toMatchObject({
    outcome: 'failed',
    archives: [],
    errors: [{ source: 'hanging', code: 'TIMEOUT' }],
  });
  expect(workspace.remains()).toEqual([]);
});

test('files vanishing or changing while tar reads: one that cannot be read makes the run incomplete, and says so', async () => {
  using workspace = new Workspace();
  writeFileSync(join(workspace.tree, 'secret'), 'nobody may read this');
  chmodSync(join(workspace.tree, 'secret'), 0o000);
  workspace.configure({ jobs: { app: workspace.filesJob() } });
  const finished = await workspace.run(['backup', 'app'], { prefix: withoutPrivileges() });
  expect(finished.status).toBe(3);
  const { runs, success } = finished.json<BackupAnswer>();
  expect(success).toBe(false);
  expect(runs).toMatchObject([{ outcome: 'incomplete', archives: [{ incomplete: true }] }]);
  expect(runs[0]?.archives[0]?.contents).toMatchObject({ incomplete: [{ path: 'tree/secret' }] });
  expect((await workspace.list()).map(({ incomplete }) => incomplete)).toEqual([true]);
});

test('verification that verifies nothing: a changed, a cut, a missing and a wholly lost archive are all faults', async () => {
  using workspace = new Workspace({ DATABASE_URI: url });
  const sources = [database('app'), workspace.files()];
  workspace.configure({ jobs: { app: { schedule: NEVER, sources } } });
  await workspace.run(['backup']);
  await workspace.run(['backup']);
  const backups = await workspace.list();
  const [changed, cut, missing, lost] = backups;
  if (!changed || !cut || !missing || !lost) throw new Error('not four backups');
  expect((await workspace.run(['verify', '--all'])).status).toBe(0);

  corruptByte(workspace.path(changed));
  const cutPath = workspace.path(cut);
  writeFileSync(cutPath, readFileSync(cutPath).subarray(0, -20));
  rmSync(workspace.path(missing));
  rmSync(workspace.path(lost));
  rmSync(workspace.manifestPath(lost.filename));
  for (const level of ['checksum', 'contents']) {
    const finished = await workspace.run(['verify', '--all', '--level', level]);
    expect(finished.status).toBe(1);
    const { results } = finished.json<VerifyAnswer>();
    expect(results.map(({ filename, valid }) => `${filename} ${valid}`).sort()).toEqual(
      backups.map(({ filename }) => `${filename} false`).sort(),
    );
    for (const { detail } of results) expect(detail).not.toBe('');
  }
  const check = await workspace.run(['check']);
  expect(check.status).toBe(1);
  expect(check.stdout).toContain(lost.filename);

  // Whole again: the verdict follows the bytes and not what was recorded of an earlier look.
  corruptByte(workspace.path(changed));
  expect((await workspace.run(['verify', changed.filename])).status).toBe(0);

  // A whole directory of archives gone: each is named.
  rmSync(join(workspace.location, 'database'), { recursive: true });
  const all = await workspace.run(['verify', '--all']);
  expect(all.status).toBe(1);
  const gone = backups.filter(({ type }) => type === 'database').map(({ filename }) => filename);
  expect(all.json<VerifyAnswer>().results.map(({ filename }) => filename)).toEqual(
    expect.arrayContaining(gone),
  );

  // The manifests as well: that is no location without a backup.
  rmSync(join(workspace.location, 'manifests'), { recursive: true });
  const nothing = await workspace.run(['verify', '--all']);
  expect(nothing.status).toBe(1);
  expect(nothing.json()).toMatchObject({ error: { code: 'LOCATION_UNUSABLE' } });
});

test('a corrupted manifest is named, its archive is left alone, and all else goes on', async () => {
  using workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob() }, retention: { days: 0, keepLast: 1 } });
  const torn = await workspace.backup('app');
  const foreign = await workspace.backup('app');
  const good = await workspace.backup('app');
  writeFileSync(workspace.manifestPath(torn.filename), '{"version": 1, "type": "fil');
  cpSync(workspace.manifestPath(good.filename), workspace.manifestPath(foreign.filename));
  const listed = await workspace.run(['list']);
  expect(listed.status).toBe(0);
  expect(listed.json<{ backups: { filename: string }[] }>().backups.map(({ filename }) => filename)).toEqual([
    good.filename,
  ]);
  expect(listed.stderr).toContain(torn.filename);
  expect(listed.stderr).toContain(foreign.filename);
  const shown = await workspace.run(['show', torn.filename]);
  expect(shown.status).toBe(1);
  expect(shown.json<ErrorAnswer>().error).toMatchObject({ code: 'MANIFEST_CORRUPT' });
  const all = await workspace.run(['verify', '--all']);
  expect(all.status).toBe(1);
  const verdicts = all.json<VerifyAnswer>().results.map(({ filename, valid }) => [filename, valid]);
  expect(Object.fromEntries(verdicts)).toEqual({
    [torn.filename]: false,
    [foreign.filename]: false,
    [good.filename]: true,
  });
  const before = snapshot(workspace);
  expect((await workspace.run(['delete', torn.filename])).status).toBe(1);
  expect(snapshot(workspace)).toEqual(before);
  expect((await workspace.run(['prune'])).status).toBe(0);
  await workspace.backup('app');
  expect(existsSync(workspace.path(torn))).toBe(true);
  expect(existsSync(workspace.path(foreign))).toBe(true);
  await using daemon = await workspace.startDaemon();
  expect(daemon.log().filter(({ code }) => code === 'MANIFEST_CORRUPT').length).toBe(2);
  expect((await daemon.health()).status).toBe(200);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
});

test('a garbage index is read by nobody and written anew; a garbage journal costs the history only', async () => {
  using workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob() } });
  await workspace.backup('app');
  const index = join(workspace.location, 'backups_metadata.json');
  writeFileSync(index, '\0garbage');
  writeFileSync(
    join(workspace.location, 'journal.jsonl'),
    Buffer.from([0xff, 0, 10, 123, 10, 91, 93, 10, 110]),
  );
  expect((await workspace.list()).length).toBe(1);
  const finished = await workspace.run(['verify', '--all']);
  expect(finished.status).toBe(0);
  await workspace.backup('app');
  expect(JSON.parse(readFileSync(index, 'utf8'))).toEqual(await workspace.list());
  expect(workspace.ended('app').length).toBe(1);
});

const WRONG_NAMES = [
  'nothing-like-it',
  'db_backup_ghost_20260101_000000.sql.gz',
  '../config.json',
  '../../etc/passwd',
  '/etc/passwd',
  '',
];

test('a wrong file name, `../` in it included, is refused by every command, and nothing is touched', async () => {
  using workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob() } });
  const { filename } = await workspace.backup('app');
  const before = snapshot(workspace);
  const config = readFileSync(workspace.config, 'utf8');
  const near = [`./${filename}`, `${filename}.json`, `files/${filename}`];
  const attempts = [
    ...[...WRONG_NAMES, ...near].map((name) => ['delete', name]),
    ...['verify', 'show', 'pin', 'unpin'].map((command) => [command, '../config.json']),
    // One wrong name among right ones is told before any work.
    ['verify', filename, '../config.json'],
  ];
  for (const attempt of attempts) {
    const finished = await workspace.run(attempt);
    expect([attempt, finished.status]).toEqual([attempt, 1]);
    const { error } = finished.json<ErrorAnswer>();
    expect(error.code).toBe('ARCHIVE_UNKNOWN');
    expect(error.hint).toBeTruthy();
  }
  expect(snapshot(workspace)).toEqual(before);
  expect(readFileSync(workspace.config, 'utf8')).toBe(config);
});

test('without flock on PATH a run fails and says what is missing', async () => {
  using workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob() } });
  const bin = join(workspace.dir, 'bin');
  mkdirSync(bin);
  const finished = await workspace.run(['backup', 'app'], { env: { PATH: bin } });
  expect(finished.status).toBe(1);
  expect(finished.stdout).toContain('TOOL_MISSING');
  expect(finished.stdout).toContain('flock');
});

test('a directory that is missing is found by check and fails its source only', async () => {
  using workspace = new Workspace();
  const gone = join(workspace.dir, 'gone');
  const sources = [{ type: 'files', name: 'gone', directories: [gone] }, workspace.files()];
  workspace.configure({ jobs: { app: { schedule: NEVER, sources } } });
  const check = await workspace.run(['check']);
  expect(check.status).toBe(1);
  expect(check.stdout).toContain(gone);
  const finished = await workspace.run(['backup']);
  expect(finished.status).toBe(1);
  expect(finished.json<BackupAnswer>().runs[0]?.errors).toMatchObject([
    { source: 'gone', code: 'SOURCE_MISSING' },
  ]);
  expect((await workspace.list()).map(({ source }) => source)).toEqual(['tree']);
  renameSync(workspace.tree, gone);
  mkdirSync(workspace.tree);
  expect((await workspace.run(['backup'])).status).toBe(0);
});
