import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Manifest } from '../../src/domain/manifest.ts';
import type { RunView } from '../../src/domain/run-view.ts';
import type { Daemon } from '../support/cofre.ts';
import { type TestServer, usingCluster } from '../support/postgres.ts';
import { waitFor } from '../support/wait-for.ts';
import { EVERY_SECOND, type Json, NEVER, Workspace } from '../support/workspace.ts';

const ADMIN = 'the-token-of-the-administrator';
const VIEWER = 'the-token-of-those-who-look';
const SCOPES = ['read', 'operate', 'delete', 'restore'];
const TOKENS = [
  { name: 'admin', token: { env: 'ADMIN_TOKEN' }, scopes: SCOPES },
  { name: 'viewer', token: { env: 'VIEWER_TOKEN' }, scopes: ['read'] },
];

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await usingCluster();
  url = await server.createDatabase('api_shop');
  await server.psql(
    'api_shop',
    `CREATE TABLE orders (id int PRIMARY KEY, note text);
     INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 1000) n;`,
  );
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

function open(config: Json, http: Json = {}): Workspace {
  const workspace = new Workspace({ ADMIN_TOKEN: ADMIN, VIEWER_TOKEN: VIEWER, SHOP_URL: url });
  workspace.configure({ ...config, http: { port: 0, tokens: TOKENS, ...http } });
  return workspace;
}

/** A job that takes as long as its hook sleeps. */
function sleeping(workspace: Workspace, seconds: string, schedule = NEVER): Json {
  return workspace.filesJob(schedule, 'tree', { hooks: { before: ['sleep', seconds] } });
}

/** Reads the events of a daemon until the stream ends; resolves to all of it. */
async function follow(daemon: Daemon, token = VIEWER): Promise<{ text: () => string; over: Promise<void> }> {
  const headers = { authorization: `Bearer ${token}` };
  const reply = await fetch(`${await daemon.url()}/api/v1/events`, { headers });
  let text = '';
  const read = async () => {
    for await (const chunk of reply.body ?? []) text += Buffer.from(chunk as Uint8Array).toString();
  };
  const over = read();
  await waitFor('the first event', () => text.includes('event: runs'));
  return { text: () => text, over };
}

test('a database and files are backed up, checked, downloaded and restored over HTTP, by whoever has a token', async () => {
  using workspace = open({}, {});
  const books = await server.createDatabase('api_books');
  const target = new URL(url);
  target.pathname = '/postgres';
  workspace.configure({
    jobs: {
      shop: {
        schedule: NEVER,
        sources: [
          { type: 'postgres', name: 'shop', url: { env: 'SHOP_URL' } },
          { type: 'postgres', name: 'books', url: books },
          workspace.files('uploads'),
        ],
      },
    },
    http: { port: 0, tokens: TOKENS, restoreTargets: [{ name: 'staging', url: target.href }] },
  });
  await using daemon = await workspace.startDaemon();
  const events = await follow(daemon);

  const made = await daemon.call('POST', '/sistema/backup/executar', ADMIN);
  expect(made).toMatchObject({ status: 200, body: { success: true, errors: [] } });
  const [database] = made.body['archives'] as [Manifest];
  expect(made.body['database']).toMatchObject({ type: 'database', source: 'books' });
  expect(database).toMatchObject({ type: 'database', source: 'shop', trigger: 'api', actor: 'admin' });
  expect(made.body['files']).toMatchObject({ type: 'files', source: 'uploads' });
  expect(await workspace.list()).toHaveLength(3);
  expect(workspace.ended('shop')).toMatchObject([{ trigger: 'api', actor: 'admin', outcome: 'succeeded' }]);
  expect(daemon.log().filter(({ actor }) => actor === 'admin').length).toBeGreaterThan(3);
  expect(await daemon.metric('cofre_runs_total{job="shop",outcome="succeeded"}')).toBe(1);

  const at = `/api/v1/backups/${database.filename}`;
  expect((await daemon.call('POST', `${at}/verify`, ADMIN)).body).toMatchObject({ valid: true });
  const download = await fetch(`${await daemon.url()}${at}/download`, {
    headers: { authorization: `Bearer ${VIEWER}` },
  });
  const bytes = Buffer.from(await download.arrayBuffer());
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(database.hash);

  const restored = await daemon.call('POST', `${at}/restore?wait=true`, ADMIN, {
    confirm: database.filename,
    to: 'staging',
    as: 'api_shop_restored',
    create: true,
  });
  expect(restored).toMatchObject({
    status: 200,
    body: { success: true, differences: [], restored: { rows: 1000 } },
  });
  expect(await server.psql('api_shop_restored', 'SELECT count(*) FROM orders')).toContain('1000');
  expect(workspace.ended('@restore')).toMatchObject([
    { trigger: 'api', actor: 'admin', outcome: 'succeeded' },
  ]);
  // Into a database that is backed up, that one or another, nobody restores over HTTP.
  for (const { pathname } of [new URL(url), new URL(books)]) {
    const as = pathname.slice(1);
    const refused = await daemon.call('POST', `${at}/restore?wait=true`, ADMIN, {
      confirm: database.filename,
      to: 'staging',
      as,
      clean: true,
    });
    expect(refused).toMatchObject({ status: 409, body: { code: 'TARGET_REFUSED' } });
    expect(refused.body['detail']).toMatch(/was taken from|the source books backs up/);
  }

  for (const [method, path] of [
    ['POST', '/api/v1/backups'],
    ['DELETE', at],
    ['POST', `${at}/restore`],
  ] as const) {
    expect(await daemon.call(method, path, VIEWER)).toMatchObject({
      status: 403,
      body: { code: 'FORBIDDEN' },
    });
  }
  expect((await daemon.call('DELETE', at, ADMIN)).body).toEqual({
    success: true,
    filename: database.filename,
  });
  await waitFor('the news of all of it', () => events.text().includes('"job":"@delete"'));
  for (const event of ['run-started', 'progress', 'run-ended'])
    expect(events.text()).toContain(`event: ${event}\n`);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
  expect(daemon.stderr).not.toContain(ADMIN);
  expect(readFileSync(join(workspace.location, 'journal.jsonl'), 'utf8')).not.toContain(ADMIN);
});

test('SIGTERM with a run, a request that waits for it and an open event stream: each comes to its end, and exit 0', async () => {
  using workspace = open({});
  workspace.configure({
    jobs: { app: sleeping(workspace, '300'), next: workspace.filesJob(NEVER, 'other') },
    http: { port: 0, tokens: TOKENS },
  });
  await using daemon = await workspace.startDaemon();
  const events = await follow(daemon);
  const waiting = daemon.call('POST', '/api/v1/backups?wait=true', ADMIN, { job: 'app' });
  await waitFor('the run', () => events.text().includes('run-started'));
  // Behind it in the queue, and never begun.
  const queued = await daemon.call('POST', '/api/v1/backups', ADMIN, { job: 'next' });
  expect(queued.body['run']).toMatchObject({ job: 'next', state: 'queued' });
  daemon.signal('SIGTERM');
  expect(await waiting).toMatchObject({
    status: 200,
    body: { success: false, runs: [{ outcome: 'cancelled', errors: [{ code: 'CANCELLED' }] }] },
  });
  await events.over;
  expect(await daemon.exited).toMatchObject({ status: 0 });
  expect(workspace.ended('app')).toMatchObject([{ outcome: 'cancelled', trigger: 'api' }]);
  expect(workspace.journal().some(({ job, event }) => job === 'next' && event !== 'scheduled')).toBe(false);
  expect(workspace.remains()).toEqual([]);
});

test('an idle event stream does not hold up a shutdown', async () => {
  using workspace = open({});
  workspace.configure({ jobs: { app: workspace.filesJob() }, http: { port: 0, tokens: TOKENS } });
  await using daemon = await workspace.startDaemon();
  const events = await follow(daemon);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
  await events.over;
});

test('a job that runs by its schedule, or by a command, is not run a second time; concurrency holds for both', async () => {
  using workspace = open({});
  const schedule = workspace.dueIn(2, 'app');
  workspace.configure({
    jobs: { app: sleeping(workspace, '1.5', schedule), other: workspace.filesJob(NEVER, 'other') },
    http: { port: 0, tokens: TOKENS },
  });
  await using daemon = await workspace.startDaemon();
  await daemon.waitForLog('the scheduled run', ({ step, job }) => step === 'start' && job === 'app');
  expect(await daemon.call('POST', '/api/v1/backups', ADMIN, { job: 'app' })).toMatchObject({
    status: 409,
    body: { code: 'JOB_BUSY', path: 'app' },
  });
  const other = await daemon.call('POST', '/api/v1/backups?wait=true', ADMIN, { job: 'other' });
  expect(other.body).toMatchObject({ success: true });
  const order = workspace.journal().filter(({ job, event }) => job !== '@prune' && event !== 'scheduled');
  expect(order.map(({ job, event }) => `${job} ${event}`)).toEqual([
    'app started',
    'app ended',
    'other started',
    'other ended',
  ]);

  const command = workspace.run(['backup', 'app']);
  await waitFor('the run of the command', () =>
    workspace.journal().some((entry) => entry.event === 'started' && entry.trigger === 'cli'),
  );
  expect((await daemon.call('POST', '/api/v1/backups', ADMIN, { job: 'app' })).status).toBe(409);
  const { body } = await daemon.call('GET', '/api/v1/runs?job=app', VIEWER);
  expect((body['runs'] as RunView[])[0]).toMatchObject({ state: 'running', trigger: 'cli' });
  expect((await command).status).toBe(0);
  expect((await daemon.call('POST', '/api/v1/backups?wait=true', ADMIN, { job: 'app' })).body).toMatchObject({
    success: true,
  });
});

test('a job whose command is at its last hook is under way', async () => {
  using workspace = open({});
  const job = workspace.filesJob(NEVER, 'tree', { hooks: { after: ['sleep', '3'] } });
  workspace.configure({ jobs: { app: job }, http: { port: 0, tokens: TOKENS } });
  await using daemon = await workspace.startDaemon();
  const command = workspace.run(['backup', 'app']);
  await waitFor('the end of the run', () => workspace.ended('app').length === 1);
  expect(await daemon.call('POST', '/api/v1/backups', ADMIN, { job: 'app' })).toMatchObject({
    status: 409,
    body: { code: 'JOB_BUSY' },
  });
  expect((await command).status).toBe(0);
  expect(workspace.ended('app')).toHaveLength(1);
});

test('tokens come and go with SIGHUP; one that is refused leaves the old ones', async () => {
  using workspace = open({});
  const file = join(workspace.dir, 'token');
  writeFileSync(file, `${ADMIN}\n`, { mode: 0o600 });
  const token = { name: 'admin', token: { file: 'token' }, scopes: SCOPES };
  workspace.configure({ jobs: { app: workspace.filesJob() }, http: { port: 0, tokens: [token] } });
  await using daemon = await workspace.startDaemon();
  const status = async (with_: string) => (await daemon.call('GET', '/api/v1/jobs', with_)).status;
  expect([await status(ADMIN), await status('another-token-0123456789')]).toEqual([200, 401]);
  const events = await follow(daemon, ADMIN);

  writeFileSync(file, 'another-token-0123456789', { mode: 0o600 });
  daemon.signal('SIGHUP');
  await daemon.waitForLog('the reload', ({ msg }) => msg === 'the configuration was reloaded');
  await events.over;
  expect([await status(ADMIN), await status('another-token-0123456789')]).toEqual([401, 200]);

  writeFileSync(file, 'short', { mode: 0o600 });
  daemon.signal('SIGHUP');
  await daemon.waitForLog('the refusal', ({ step, code }) => step === 'reload' && code === 'CONFIG_INVALID');
  expect(await status('another-token-0123456789')).toBe(200);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
  expect(daemon.stderr).not.toMatch(/another-token|restart/);
});

test.each([
  ['empty', ''],
  ['short', 'only-19-characters-'],
])('a token that is %s keeps the daemon from starting, and is not shown', async (_, token) => {
  using workspace = open({});
  workspace.configure({ jobs: { app: workspace.filesJob() }, http: { port: 0, tokens: TOKENS } });
  const { status, stdout, stderr } = await workspace.run(['daemon'], { env: { ADMIN_TOKEN: token } });
  expect(status).toBe(2);
  expect(JSON.parse(stdout)).toMatchObject({ error: { code: 'CONFIG_INVALID' } });
  expect(stdout).toContain('http.tokens[0].token');
  expect(`${stdout}${stderr}`).not.toContain('only-19');
});

test('without tokens there is no API, and nothing of it is loaded', async () => {
  using workspace = open({});
  workspace.configure({ jobs: { app: workspace.filesJob(EVERY_SECOND) } });
  const hook = `import { registerHooks } from 'node:module';
    registerHooks({ resolve: (name, context, next) => {
      if (/compose-api|http\\/api/.test(name)) process.stderr.write('LOADED ' + name + '\\n');
      return next(name, context);
    } });`;
  const nodeArgs = ['--import', `data:text/javascript,${encodeURIComponent(hook)}`];
  {
    await using daemon = await workspace.startDaemon({ nodeArgs });
    for (const path of ['/api/v1/backups', '/api/openapi.json', '/sistema/backup/listar']) {
      expect(await daemon.call('GET', path, ADMIN)).toMatchObject({ status: 404 });
    }
    expect((await daemon.health()).status).toBe(200);
    expect(daemon.stderr).not.toContain('LOADED');
  }
  workspace.configure({ jobs: { app: workspace.filesJob() }, http: { port: 0, tokens: TOKENS } });
  await using daemon = await workspace.startDaemon({ nodeArgs });
  expect((await daemon.call('GET', '/api/v1/backups', ADMIN)).status).toBe(200);
  expect(daemon.stderr).toContain('LOADED');
});
