import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { HealthReport } from '../../src/domain/health.ts';
import type { Manifest, ManifestSummary } from '../../src/domain/manifest.ts';
import { type Daemon, MAIN } from '../support/cofre.ts';
import { type TestServer, usingCluster } from '../support/postgres.ts';
import { type ErrorAnswer, NEVER, Workspace } from '../support/workspace.ts';

let server: TestServer;
let url: string;

beforeAll(async () => {
  server = await usingCluster();
  url = await server.createDatabase('shop');
  await server.psql(
    'shop',
    `CREATE TABLE customers (id int PRIMARY KEY, name text);
     INSERT INTO customers SELECT n, 'customer ' || n FROM generate_series(1, 500) n;
     CREATE TABLE orders (id int PRIMARY KEY, note text);
     INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 2000) n;
     CREATE TABLE audit (id int);`,
  );
});

afterAll(async () => {
  await server[Symbol.asyncDispose]();
});

/** What a person sees of a command. */
function textOf(workspace: Workspace, ...args: string[]): string {
  const env = { ...process.env, ...workspace.env };
  const argv = [MAIN, ...args, '--config', workspace.config];
  return spawnSync(process.execPath, argv, { encoding: 'utf8', env }).stdout;
}

async function health(daemon: Daemon): Promise<{ status: number; report: HealthReport }> {
  const { status, text } = await daemon.get('/health');
  return { status, report: JSON.parse(text) as HealthReport };
}

async function names(workspace: Workspace): Promise<string[]> {
  return (await workspace.list()).map(({ filename }) => filename);
}

async function acknowledged(workspace: Workspace, filename: string): Promise<string[]> {
  const finished = await workspace.run(['acknowledge', filename]);
  expect(finished.status).toBe(0);
  return finished.json<{ acknowledged: string[] }>().acknowledged;
}

const ROWS_DOWN = 'cofre_anomalies_total{source="shop",kind="rows_down"}';
const TABLE_GONE = 'cofre_anomalies_total{source="shop",kind="table_gone"}';

test('a shop that loses most of its orders warns, and keeps its last full backup until that is acknowledged', async () => {
  using workspace = new Workspace({ SHOP_URL: url });
  workspace.configure({
    anomaly: { rowsDown: 0.5, sizeDown: 0.5 },
    retention: { days: 0, keepLast: 1 },
    jobs: {
      nightly: {
        schedule: NEVER,
        sources: [{ type: 'postgres', name: 'shop', url: { env: 'SHOP_URL' } }],
      },
    },
  });
  const full = await workspace.backup('nightly');
  expect(full).not.toHaveProperty('anomaly');
  await using daemon = await workspace.startDaemon();
  expect(await daemon.metric(ROWS_DOWN)).toBe(0);
  expect((await health(daemon)).report).toMatchObject({ warnings: [], series: [{ anomaly: null }] });

  await server.psql('shop', 'DELETE FROM orders WHERE id > 50; DROP TABLE audit;');
  const text = textOf(workspace, 'backup', 'nightly');
  expect(text).toContain(`ANOMALY: it holds less than ${full.filename}: public.audit: gone, it had 0 rows`);
  const [, less] = await names(workspace);
  if (less === undefined) throw new Error('no second backup');
  const manifest = (await workspace.run(['show', less])).json<Manifest>();
  expect(manifest.anomaly?.baseline).toBe(full.filename);
  expect(manifest.anomaly?.findings.slice(0, 3)).toEqual([
    { kind: 'table_gone', detail: 'public.audit: gone, it had 0 rows' },
    { kind: 'rows_down', detail: 'all tables: 2500 rows before, 550 now' },
    { kind: 'rows_down', detail: 'public.orders: 2000 rows before, 50 now' },
  ]);
  // A command took it, and the daemon tells of it.
  expect(await daemon.metric(ROWS_DOWN)).toBe(1);
  expect(await daemon.metric(TABLE_GONE)).toBe(1);
  expect(await health(daemon)).toMatchObject({
    status: 200,
    report: {
      problems: [],
      warnings: [expect.stringContaining('public.orders: 2000 rows before, 50 now')],
      series: [{ newest: less, anomaly: manifest.anomaly }],
    },
  });
  expect(textOf(workspace, 'list')).toMatch(new RegExp(`^${less} .* verified, anomaly$`, 'm'));
  expect(textOf(workspace, 'show', less)).toMatch(
    /^anomaly {3}holds less than .*; not acknowledged: .*\n {10}public\.audit: gone/m,
  );

  const another = await workspace.backup('nightly');
  expect(another.anomaly?.baseline).toBe(full.filename);
  expect(textOf(workspace, 'prune', '--dry-run')).toContain(
    `keep    ${full.filename}  last archive from before the anomaly of ${another.filename}, which nobody has acknowledged`,
  );
  expect((await workspace.run(['prune'])).status).toBe(0);
  expect(await names(workspace)).toEqual([full.filename, another.filename]);

  expect(await daemon.stop()).toEqual({ status: 0, signal: null });
  await using restarted = await workspace.startDaemon();
  expect(await restarted.metric(ROWS_DOWN)).toBe(2);
  expect((await health(restarted)).report.warnings).toHaveLength(1);

  expect(await acknowledged(workspace, another.filename)).toEqual([another.filename]);
  expect(await acknowledged(workspace, another.filename)).toEqual([]);
  expect(textOf(workspace, 'acknowledge', another.filename)).toMatch(
    /was acknowledged already, at .* by cli:/,
  );
  const index = readFileSync(join(workspace.location, 'backups_metadata.json'), 'utf8');
  expect((JSON.parse(index) as ManifestSummary[]).at(-1)?.anomaly?.acknowledged?.actor).toMatch(/^cli:/);
  expect((await health(restarted)).report).toMatchObject({ warnings: [], series: [{ anomaly: null }] });
  expect(textOf(workspace, 'list')).not.toContain('anomaly');
  expect((await workspace.run(['prune'])).status).toBe(0);
  expect(await names(workspace)).toEqual([another.filename]);

  const next = await workspace.backup('nightly');
  expect(next).not.toHaveProperty('anomaly');
  const refused = await workspace.run(['acknowledge', next.filename]);
  expect(refused.status).toBe(2);
  expect(refused.json<ErrorAnswer>().error).toMatchObject({ code: 'USAGE', path: next.filename });
});
