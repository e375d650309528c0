import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requirePromtool } from '../../tools/promtool.ts';
import { type TestServer, usingCluster } from '../support/postgres.ts';
import { waitFor } from '../support/wait-for.ts';
import { corruptByte, type VerifyAnswer, Workspace } from '../support/workspace.ts';

const SECRET = 'open-sesame-7319';
const TABLES = ['customers', 'orders'];

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await usingCluster();
  const database = new URL(await server.createDatabase('shop'));
  // The throwaway cluster trusts everybody, whatever the password.
  if (server.cluster !== undefined) database.password = SECRET;
  url = database.href;
  await server.psql(
    'shop',
    `CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, notes text);
     INSERT INTO customers SELECT n, 'customer ' || n, E'tab\\there\\nline ' || n FROM generate_series(1, 500) n;
     INSERT INTO customers VALUES (0, 'João \\\\. Müller 日本', NULL);
     CREATE TABLE orders (id bigserial PRIMARY KEY, customer int REFERENCES customers, total numeric, placed timestamptz);
     INSERT INTO orders (customer, total, placed)
       SELECT n % 500, n * 1.25, timestamptz '2024-02-29 12:00Z' + n * interval '1 hour' FROM generate_series(1, 2000) n;`,
  );
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** Every row of every table, in an order of its own. */
async function rowsOf(database: string): Promise<string[]> {
  return await Promise.all(
    TABLES.map(async (table) => await server.psql(database, `SELECT t::text FROM ${table} t ORDER BY 1;`)),
  );
}

test('a scheduled run backs up a database and a directory; a flipped byte is seen; SIGTERM ends it cleanly', async () => {
  using workspace = new Workspace({ SHOP_URL: url });
  const sources = [{ type: 'postgres', name: 'shop', url: { env: 'SHOP_URL' } }, workspace.files('uploads')];
  workspace.configure({ jobs: { nightly: { schedule: workspace.dueIn(3, 'nightly'), sources } } });
  await using daemon = await workspace.startDaemon();

  const [run] = await waitFor('the scheduled run', () => {
    const ended = workspace.ended('nightly');
    return ended.length > 0 ? ended : undefined;
  });
  expect(run).toMatchObject({ outcome: 'succeeded', trigger: 'schedule', actor: 'daemon', errors: [] });
  const backups = await workspace.list();
  expect(backups.map(({ source, type }) => [source, type])).toEqual([
    ['shop', 'database'],
    ['uploads', 'files'],
  ]);
  expect(backups.map(({ filename }) => filename)).toEqual(run?.archives);

  // By hand, without cofre.
  const [dump] = backups;
  if (dump === undefined) throw new Error('no database backup');
  await server.createDatabase('restored');
  const sql = execFileSync('zcat', [workspace.path(dump)], { encoding: 'utf8', maxBuffer: 1 << 30 });
  await server.psql('restored', sql);
  expect(await rowsOf('restored')).toEqual(await rowsOf('shop'));

  expect(await daemon.get('/livez')).toMatchObject({ status: 200 });
  expect(await daemon.get('/readyz')).toMatchObject({ status: 200 });
  expect((await daemon.health()).status).toBe(200);
  const { text: metrics } = await daemon.get('/metrics');
  const lint = spawnSync(requirePromtool(), ['check', 'metrics'], { input: metrics, encoding: 'utf8' });
  expect(lint).toMatchObject({ status: 0, stdout: '', stderr: '' });
  expect(await daemon.metric('cofre_runs_total{job="nightly",outcome="succeeded"}')).toBe(1);
  expect(await daemon.metric('cofre_archives{source="shop",type="database"}')).toBe(1);
  expect(await daemon.metric('cofre_verify_total{source="shop",result="ok"}')).toBe(1);
  expect(await daemon.metric('cofre_job_overdue{job="nightly"}')).toBe(0);

  corruptByte(workspace.path(dump));
  const verified = await workspace.run(['verify', dump.filename]);
  expect(verified.status).toBe(1);
  expect(verified.json<VerifyAnswer>().results).toMatchObject([{ filename: dump.filename, valid: false }]);
  const all = await workspace.run(['verify', '--all']);
  expect(all.status).toBe(1);
  expect(all.json<VerifyAnswer>().results.map(({ valid }) => valid)).toEqual([false, true]);
  const { status, body } = await daemon.health();
  expect(status).toBe(503);
  expect(body.problems.join()).toContain(dump.filename);

  expect(await daemon.stop()).toEqual({ status: 0, signal: null });
  expect(workspace.remains()).toEqual([]);
  const manifests = join(workspace.location, 'manifests');
  const written = [
    daemon.stderr,
    metrics,
    verified.stdout,
    readFileSync(join(workspace.location, 'journal.jsonl'), 'utf8'),
    ...readdirSync(manifests).map((name) => readFileSync(join(manifests, name), 'utf8')),
  ];
  expect(written.join('')).not.toContain(SECRET);
});

test('status stays green after a failure: a failed run is in health and metrics until one succeeds', async () => {
  using workspace = new Workspace();
  const missing = join(workspace.dir, 'missing');
  const job = (directory: string) => ({
    schedule: workspace.dueIn(2),
    sources: [{ type: 'files', name: 'tree', directories: [directory] }],
  });
  workspace.configure({ jobs: { app: job(missing) } });
  {
    await using daemon = await workspace.startDaemon();
    await waitFor('the run', () => workspace.ended('app').length === 1);
    const { status, body } = await daemon.health();
    expect(status).toBe(503);
    expect(body.problems.join()).toContain('app failed');
    expect(await daemon.metric('cofre_runs_total{job="app",outcome="failed"}')).toBe(1);
    expect(await daemon.metric('cofre_errors_total{step="preflight"}')).toBe(1);
    expect(await daemon.metric('cofre_job_last_success_timestamp_seconds{job="app"}')).toBeUndefined();
    await daemon.stop();
  }
  expect(workspace.ended('app')[0]?.errors).toMatchObject([{ code: 'SOURCE_MISSING', source: 'tree' }]);
  // Red also for a daemon that has only read of it, and green after a success of whoever.
  workspace.configure({ jobs: { app: workspace.filesJob() } });
  await using daemon = await workspace.startDaemon();
  expect((await daemon.health()).status).toBe(503);
  expect(await daemon.metric('cofre_runs_total{job="app",outcome="failed"}')).toBe(1);
  await workspace.backup('app');
  expect((await daemon.health()).status).toBe(200);
  expect(await daemon.metric('cofre_runs_total{job="app",outcome="succeeded"}')).toBe(1);
});

test('SIGHUP: a configuration that does not validate leaves the old one running, a good one is taken over', async () => {
  using workspace = new Workspace();
  const old = workspace.filesJob('*/2 * * * * *');
  workspace.configure({ jobs: { old } });
  await using daemon = await workspace.startDaemon();
  expect(await daemon.metric('cofre_config_last_reload_successful')).toBe(1);

  workspace.configure({ jobs: { old: { ...old, schedule: 'whenever' } } });
  daemon.signal('SIGHUP');
  await waitFor(
    'the refusal',
    async () => (await daemon.metric('cofre_config_last_reload_successful')) === 0,
  );
  const runs = workspace.ended('old').length;
  await waitFor('a further run of the old job', () => workspace.ended('old').length > runs);
  expect(daemon.log().some(({ step, msg }) => step === 'reload' && msg.includes('jobs.old.schedule'))).toBe(
    true,
  );

  workspace.configure({ jobs: { fresh: workspace.filesJob('*/2 * * * * *', 'fresh') } });
  daemon.signal('SIGHUP');
  await waitFor('the reload', async () => (await daemon.metric('cofre_config_last_reload_successful')) === 1);
  await waitFor('a run of the new job', () => workspace.ended('fresh').length > 0);
  const { body } = await daemon.health();
  expect(body.jobs.map(({ job }) => job)).toEqual(['fresh']);
  // The old job is not run any more.
  const last = workspace.ended('old').length;
  const next = workspace.ended('fresh').length;
  await waitFor('one more run', () => workspace.ended('fresh').length > next);
  expect(workspace.ended('old').length).toBe(last);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
});

test('SIGHUP takes over what changed in the .env beside the configuration', async () => {
  using workspace = new Workspace();
  const sources = [{ type: 'postgres', name: 'shop', url: { env: 'SHOP_URL' } }];
  const writeEnv = (value: string) =>
    execFileSync('sh', [
      '-c',
      'printf "SHOP_URL=\'%s\'\\n" "$1" > "$2"',
      '-',
      value,
      join(workspace.dir, '.env'),
    ]);
  writeEnv('postgresql://nobody@127.0.0.1:1/nowhere');
  workspace.configure({ retries: 0, jobs: { shop: { schedule: '*/2 * * * * *', sources } } });
  await using daemon = await workspace.startDaemon();
  const first = await waitFor('a run', () => workspace.ended('shop')[0]);
  expect(first.errors).toMatchObject([{ code: 'SERVER_UNREACHABLE' }]);
  writeEnv(url);
  daemon.signal('SIGHUP');
  await waitFor('a success', () => workspace.ended('shop').some(({ outcome }) => outcome === 'succeeded'));
});
