import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Manifest, Proof, Verdict } from '../../src/domain/manifest.ts';
import { SHOP_SQL } from '../../demo/shop.ts';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { FULL_DATABASE, FULL_ROLES } from '../support/full-database.ts';
import { processesWith } from '../support/processes.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Json, NEVER, Workspace } from '../support/workspace.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.psql('postgres', FULL_ROLES);
  await cluster.createDatabase('full');
  await cluster.psql('full', FULL_DATABASE);
  await cluster.createDatabase('shop');
  await cluster.psql('shop', SHOP_SQL);
  await cluster.createDatabase('empty');
  await cluster.createDatabase('small');
  await cluster.psql(
    'small',
    `CREATE TABLE notes (id int PRIMARY KEY, note text);
     INSERT INTO notes SELECT n, 'note ' || n FROM generate_series(1, 200) n;
     CREATE TABLE others (id int);`,
  );
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

interface DrillAnswer {
  results: { filename: string; verdict: Verdict; detail: string; duration_ms: number }[];
}

/** A workspace whose drills leave their traces in a directory of its own. */
function drilling(config: Json, scratch: Json = {}): Workspace & { scratch: string } {
  const workspace = new Workspace();
  // Where the user that runs the server in place of root gets through.
  const directory = mkdtempSync('/tmp/cofre-e2e-scratch-');
  chmodSync(directory, 0o755);
  workspace.configure({ scratch: { directory, ...scratch }, ...config });
  onTestFinished(() => {
    workspace[Symbol.dispose]();
    rmSync(directory, { recursive: true, force: true });
  });
  return Object.assign(workspace, { scratch: directory });
}

function database(name: string, rest: Json = {}): Json {
  return {
    type: 'postgres',
    name: name.replaceAll('.', '_'),
    url: cluster.urlOf(name.split('.')[0] ?? name),
    ...rest,
  };
}

function job(sources: Json[], rest: Json = {}): Json {
  return { jobs: { app: { schedule: NEVER, sources, ...rest } } };
}

async function drill(
  workspace: Workspace,
  ...args: string[]
): Promise<DrillAnswer & { status: number | null }> {
  const finished = await workspace.run(['drill', ...args]);
  return { results: finished.json<DrillAnswer>().results, status: finished.status };
}

function manifestOf(workspace: Workspace, filename: string): Manifest {
  return JSON.parse(readFileSync(workspace.manifestPath(filename), 'utf8')) as Manifest;
}

/** Nothing of a drill is left: no directory, no server. */
function expectNothingLeft({ scratch }: { scratch: string }): void {
  expect(readdirSync(scratch)).toEqual([]);
  expect(processesWith(scratch)).toEqual([]);
}

describe('a database with one of everything', () => {
  test.each([
    ['plain', 'gzip'],
    ['custom', 'zstd'],
  ])('is proven in the %s format', async (format, compression) => {
    const workspace = drilling(job([database('full', { format })], { compression }));
    const { filename } = await workspace.backup('app');
    const { results, status } = await drill(workspace, filename);
    expect(results).toMatchObject([{ filename, verdict: 'proven' }]);
    expect(status).toBe(0);
    expect(results[0]?.detail).toMatch(
      /^\d\d tables with \d+ rows and the schema, equal after restore and dump/,
    );
    // How PostgreSQL writes `IN (…)` changes with a restore; nothing else may.
    expect(results[0]?.detail).toMatch(/; 3 definitions written with other casts or parentheses$/);
    const { proof } = manifestOf(workspace, filename);
    expect(proof).toMatchObject({
      verdict: 'proven',
      duration_ms: results[0]?.duration_ms,
      versions: { server: expect.stringMatching(/^\d+/), pg_dump: expect.stringMatching(/^\d+/) },
    } satisfies Partial<Record<keyof Proof, unknown>>);
    expect(workspace.ended('@drill')).toMatchObject([
      { outcome: 'succeeded', drills: [{ verdict: 'proven' }] },
    ]);
    expectNothingLeft(workspace);
  });

  test('is proven on a configured server, where missing roles are left aside', async () => {
    await using other = await startCluster();
    const workspace = drilling(job([database('full')]), { url: other.url });
    const { filename } = await workspace.backup('app');
    const { results } = await drill(workspace, filename);
    // Policies and user mappings name roles too, and cannot be left out.
    expect(results).toMatchObject([
      { verdict: 'not provable here', detail: expect.stringContaining('no role') },
    ]);
    await other.psql('postgres', FULL_ROLES);
    const again = await drill(workspace, filename);
    expect(again.results).toMatchObject([{ verdict: 'proven' }]);
    expect(await other.psql('postgres', "SELECT count(*) FROM pg_database WHERE datname ~ 'cofre'")).toBe(
      '0',
    );
    expectNothingLeft(workspace);
  });

  test('has roles that are proven as well', async () => {
    const workspace = drilling(job([database('small', { globals: { passwords: true } })]));
    expect((await workspace.run(['backup'])).status).toBe(0);
    const { results } = await drill(workspace, '--latest', 'small', 'small_globals');
    expect(results.map(({ verdict }) => verdict)).toEqual(['proven', 'proven']);
    expect(results[1]?.detail).toMatch(/^\d\d statements about roles and tablespaces/);
    expectNothingLeft(workspace);
  });
});

test('the shop of the demo is proven, and how long it took is shown', async () => {
  const workspace = drilling(job([database('shop')], { compression: 'zstd' }));
  const { filename } = await workspace.backup('app');
  const { results } = await drill(workspace, '--latest', 'shop');
  expect(results).toMatchObject([{ filename, verdict: 'proven' }]);
  expect(results[0]?.detail).toMatch(/^4 tables with \d+ rows and the schema/);
  expect(results[0]?.duration_ms).toBeGreaterThan(0);
  expectNothingLeft(workspace);
});

test('an empty database, and a tree of files, are proven', async () => {
  const workspace = drilling(job([]));
  workspace.configure({
    scratch: { directory: workspace.scratch },
    ...job([database('empty'), workspace.files()]),
  });
  writeFileSync(join(workspace.tree, 'na\nme "ö"'), 'x'.repeat(100_000));
  expect((await workspace.run(['backup'])).status).toBe(0);
  const { results } = await drill(workspace, '--all');
  expect(results.map(({ verdict }) => verdict)).toEqual(['proven', 'proven']);
  expect(results[0]?.detail).toContain('0 tables with 0 rows and the schema');
  expect(results[1]?.detail).toContain('equal on disk after extraction');
  expectNothingLeft(workspace);
});

/** Changes one byte in one row of a plain dump, and makes size and hash fit, as a forger would. */
function forge(workspace: Workspace, manifest: Manifest): void {
  const path = workspace.path(manifest);
  const text = gunzipSync(readFileSync(path)).toString().replace('note 77\n', 'note 78\n');
  writeFileSync(path, gzipSync(text));
  const { size } = statSync(path);
  const hash = createHash('sha256').update(readFileSync(path)).digest('hex');
  writeFileSync(workspace.manifestPath(manifest.filename), JSON.stringify({ ...manifest, size, hash }));
}

describe('a forged archive', () => {
  test('fails, the table is named, and health, metrics and list tell it', async () => {
    const workspace = drilling(job([database('small')], { compression: 'gzip' }));
    const manifest = await workspace.backup('app');
    forge(workspace, manifest);
    const { results, status } = await drill(workspace, manifest.filename);
    expect(results).toMatchObject([{ verdict: 'failed', detail: expect.stringContaining('public.notes') }]);
    expect(results[0]?.detail).not.toContain('public.others');
    expect(status).toBe(1);
    expect(manifestOf(workspace, manifest.filename).proof?.verdict).toBe('failed');
    await using daemon = await workspace.startDaemon();
    const health = await daemon.health();
    expect({ status: health.status, problems: health.body.problems }).toEqual({
      status: 503,
      problems: [`${manifest.filename} failed its drill: it does not restore as recorded`],
    });
    expect(await daemon.metric('cofre_drill_total{source="small",verdict="failed"}')).toBe(1);
    expect(await daemon.metric('cofre_drill_last_success_timestamp_seconds{source="small"}')).toBeUndefined();
  });

  test('whose manifest was forged too still fails to restore what it says, when it does not restore', async () => {
    const workspace = drilling(job([database('small')], { compression: 'none' }));
    const manifest = await workspace.backup('app');
    const path = workspace.path(manifest);
    // A row that the table's type refuses: everything that can be computed of the file is made to fit.
    const text = readFileSync(path, 'utf8').replace('\n5\tnote 5\n', '\nV\tnote 5\n');
    writeFileSync(path, text);
    const lines = text.slice(text.indexOf('FROM stdin;\n') + 12, text.indexOf('\\.\n'));
    const [table] = 'tables' in manifest.contents ? manifest.contents.tables : [];
    if (table === undefined) throw new Error('the dump has no table');
    table.sha256 = createHash('sha256').update(lines).digest('hex');
    const hash = createHash('sha256').update(text).digest('hex');
    writeFileSync(workspace.manifestPath(manifest.filename), JSON.stringify({ ...manifest, hash }));
    expect((await workspace.run(['verify', manifest.filename])).status).toBe(0);
    const { results } = await drill(workspace, manifest.filename);
    expect(results).toMatchObject([
      { verdict: 'failed', detail: expect.stringContaining('invalid input syntax') },
    ]);
    expectNothingLeft(workspace);
  });
});

describe('what this machine lacks', () => {
  test('is named, and the exit status is 3', async () => {
    const workspace = drilling(job([database('small')], { compression: 'none' }));
    const manifest = await workspace.backup('app');
    const path = workspace.path(manifest);
    const line = 'CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;\n';
    const text = readFileSync(path, 'utf8').replace('CREATE TABLE', `${line}CREATE TABLE`);
    writeFileSync(path, text);
    // Made anew from the forged archive, so that it verifies.
    unlinkSync(workspace.manifestPath(manifest.filename));
    expect((await workspace.run(['catalogue', 'rebuild'])).status).toBe(0);
    const { results, status } = await drill(workspace, manifest.filename);
    expect(results).toMatchObject([
      { verdict: 'not provable here', detail: expect.stringContaining('postgis') },
    ]);
    expect(status).toBe(3);
    expectNothingLeft(workspace);
  });

  test('may be the server programs', async () => {
    const workspace = drilling(job([database('small')]));
    const manifest = await workspace.backup('app');
    const newer = { ...manifest, server_version: '99.1' };
    writeFileSync(workspace.manifestPath(manifest.filename), JSON.stringify(newer));
    const { results } = await drill(workspace, manifest.filename);
    // The dump's own comments say which server it came from, not the manifest.
    expect(results).toMatchObject([{ verdict: 'proven' }]);
    expectNothingLeft(workspace);
  });
});

describe('the daemon', () => {
  test('drills the newest archives on the schedule of the job, and shows the age of the proof', async () => {
    const workspace = drilling(job([database('small')], { drill: { schedule: '* * * * * *' } }));
    const { filename } = await workspace.backup('app');
    await using daemon = await workspace.startDaemon();
    await daemon.waitForLog('a drill', ({ step, verdict }) => step === 'drill' && verdict === 'proven');
    const body = await waitFor('the proof in the answer', async () => {
      const { body: report } = await daemon.health();
      const [series] = report.series as unknown as { proof: Json | null }[];
      return series?.proof === null ? undefined : series?.proof;
    });
    expect(body).toMatchObject({
      filename,
      verdict: 'proven',
      failing: false,
      proven_age: expect.any(Number),
    });
    expect(await daemon.metric('cofre_drill_duration_seconds{source="small"}')).toBeGreaterThan(0);
    expect(await daemon.metric('cofre_drill_last_success_timestamp_seconds{source="small"}')).toBeGreaterThan(
      1e9,
    );
    expect((await daemon.stop()).status).toBe(0);
    expectNothingLeft(workspace);
  });

  test('drills each archive of a job that says so', async () => {
    const workspace = drilling(job([database('small')], { drill: 'each' }));
    const { proof } = await workspace.backup('app');
    expect(proof?.verdict).toBe('proven');
    expect(workspace.ended('app')).toMatchObject([{ outcome: 'succeeded', drills: [{ verdict: 'proven' }] }]);
    expectNothingLeft(workspace);
  });
});
