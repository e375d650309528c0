import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Manifest, Verdict } from '../../src/domain/manifest.ts';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { openRuns } from '../support/aftermath.ts';
import { ROOT } from '../support/cofre.ts';
import { DrillBed, expectNothingLeft, hasOpen, type Moment, running, whenAt } from '../support/drill-bed.ts';
import { asNobody, giveToNobody } from '../support/privileges.ts';
import { waitFor } from '../support/wait-for.ts';
import { type Json, NEVER } from '../support/workspace.ts';

const KILL_AT = join(ROOT, 'test/support/kill-at.ts');
/** Enough that a step can be caught in the middle. */
const ROWS = 60_000;
const FILES = 1_500;

let cluster: Cluster;
let bed: DrillBed;
let manifests: Map<string, Manifest>;

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.createDatabase('big');
  await cluster.psql(
    'big',
    `CREATE TABLE wide (id int PRIMARY KEY, noise text);
     INSERT INTO wide SELECT n, repeat(md5(n::text), 20) FROM generate_series(1, ${ROWS}) n;
     CREATE TABLE narrow AS SELECT n AS id, n * 2 AS twice FROM generate_series(1, ${ROWS}) n;`,
  );
  await cluster.createDatabase('small');
  await cluster.psql('small', 'CREATE TABLE notes (id int); INSERT INTO notes VALUES (1), (2);');
  bed = new DrillBed();
  const directory = join(bed.tree, 'many');
  mkdirSync(directory);
  for (let at = 0; at < FILES; at += 1) writeFileSync(join(directory, `${at}`), String(at).repeat(4_000));
  configure();
  manifests = await bed.backupAll();
});

afterAll(async () => {
  bed[Symbol.dispose]();
  await cluster[Symbol.asyncDispose]();
});

/** @param only of these sources. */
function configure(rest: Json = {}, only?: string): void {
  const sources = [
    { type: 'postgres', name: 'small', url: cluster.urlOf('small') },
    { type: 'postgres', name: 'plain', url: cluster.urlOf('big') },
    { type: 'postgres', name: 'custom', url: cluster.urlOf('big'), format: 'custom' },
    { type: 'postgres', name: 'directory', url: cluster.urlOf('big'), format: 'directory', globals: true },
    bed.files(),
  ];
  const chosen = sources.filter(({ name }) => only === undefined || name === only);
  bed.configureJob(chosen, rest);
}

function of(source: string): Manifest {
  const manifest = manifests.get(source);
  if (manifest === undefined) throw new Error(`there is no backup of ${source}`);
  return manifest;
}

const POSTGRES = /initdb --pgdata|\/postgres -D|psql -X|pg_dump --dbname/;

/** The archive is being read, and nothing of PostgreSQL runs but what reads a custom one. */
function verifying(source: string): Moment {
  return (pid, children) => hasOpen(pid, bed.path(of(source))) && !running(POSTGRES)(pid, children);
}

/** Some of the files are there. */
const extracting: Moment = () =>
  bed.left().some((path) => {
    const tree = join(path, 'w');
    return existsSync(tree) && readdirSync(tree, { recursive: true }).length > 100;
  });

/** Some files of a dump in the directory format are there. */
const unpacking: Moment = () =>
  bed
    .left()
    .some((path) =>
      readdirSync(path, { recursive: true, encoding: 'utf8' }).some((name) => name.endsWith('.dat')),
    );

const MOMENTS: [source: string, what: string, moment: () => Moment][] = [
  ['plain', 'the archive is verified', () => verifying('plain')],
  ['plain', 'initdb runs', () => running(/initdb --pgdata/)],
  ['plain', 'the server starts', () => running(/\/postgres -D/)],
  ['plain', 'psql restores', () => running(/^postgres: cofre drill: .* COPY/)],
  ['plain', 'pg_dump compares', () => running(/pg_dump --dbname/)],
  ['custom', 'pg_restore restores', () => running(/pg_restore --exit-on-error .*--dbname/)],
  ['custom', 'pg_dump compares', () => running(/pg_dump --dbname/)],
  ['directory', 'the dump is unpacked', () => unpacking],
  ['directory', 'pg_restore restores', () => running(/pg_restore --exit-on-error .*--dbname/)],
  ['directory_globals', 'initdb runs', () => running(/initdb --pgdata/)],
  ['directory_globals', 'the roles are dumped again', () => running(/pg_dumpall/)],
  ['tree', 'files are extracted', () => extracting],
];

interface DrillAnswer {
  results: { verdict: Verdict; detail: string }[];
}

async function drill(source: string): Promise<DrillAnswer['results'][number] | undefined> {
  return (await bed.run(['drill', of(source).filename])).json<DrillAnswer>().results[0];
}

/** After a kill: no server, no half proof, every backup whole; the next drill clears what is left and closes the run. */
async function expectOrderAfterKill(source: string, before: unknown): Promise<void> {
  await bed.waitForNoProcess();
  expect(bed.stateOf(of(source))).toEqual(before);
  expect(openRuns(bed.journal())).toHaveLength(1);
  expect(await drill('small')).toMatchObject({ verdict: 'proven' });
  expectNothingLeft(bed);
  expect(openRuns(bed.journal())).toEqual([]);
  const [interrupted, next] = bed.ended('@drill').slice(-2);
  expect(interrupted).toMatchObject({ outcome: 'failed', errors: [{ code: 'INTERRUPTED' }] });
  expect(next).toMatchObject({ outcome: 'succeeded' });
}

test.each(MOMENTS)('kill -9 of a drill, %s: %s', async (source, _what, moment) => {
  const before = bed.stateOf(of(source));
  const killed = await bed.runUntil(['drill', of(source).filename], moment(), (pid) => {
    process.kill(pid, 'SIGKILL');
  });
  expect(killed.signal).toBe('SIGKILL');
  await expectOrderAfterKill(source, before);
});

test.each([
  'before open .*/manifests/',
  'in the middle of writeFile of \\d{4,} bytes',
  'before rename .*/manifests/',
])('kill -9 of a drill, %s', async (at) => {
  const before = bed.stateOf(of('tree'));
  const killed = await bed.run(['drill', of('tree').filename], {
    nodeArgs: ['--import', KILL_AT],
    env: { COFRE_TEST_KILL_AT: at },
  });
  expect(killed.signal).toBe('SIGKILL');
  await expectOrderAfterKill('tree', before);
});

test('kill -9 of the daemon at each step of a scheduled drill: the next start clears up, and the last proves it', async () => {
  const moments: Moment[] = [
    verifying('plain'),
    running(/initdb --pgdata/),
    running(/^postgres: cofre drill: .* COPY/),
    running(/pg_dump --dbname/),
  ];
  const before = bed.stateOf(of('plain'));
  let left: string[] = [];
  for (const [at, moment] of moments.entries()) {
    configure({ drill: { schedule: bed.dueIn(1, '@drill.app') } }, 'plain');
    await using daemon = await bed.startDaemon();
    expectClearedUp(left, at);
    const health = await daemon.health();
    expect({ status: health.status, problems: health.body.problems }).toEqual({ status: 200, problems: [] });
    await whenAt(daemon.pid, moment);
    await daemon.stop('SIGKILL');
    await bed.waitForNoProcess();
    expect(bed.stateOf(of('plain'))).toEqual(before);
    left = bed.left();
  }
  await using daemon = await bed.startDaemon();
  expectClearedUp(left, moments.length);
  await daemon.waitForLog(
    'the drill made up for',
    ({ step, verdict }) => step === 'drill' && verdict === 'proven',
  );
  await waitFor('the end of the drill', () => bed.ended('@drill.app').at(-1)?.outcome === 'succeeded');
  expect(await daemon.stop()).toEqual({ status: 0, signal: null });
  expectNothingLeft(bed);
});

function expectClearedUp(left: readonly string[], killed: number): void {
  expect(bed.left().filter((path) => left.includes(path))).toEqual([]);
  const ends = bed.ended('@drill.app');
  expect(ends.map(({ errors }) => errors[0]?.code)).toEqual(
    Array.from({ length: killed }, () => 'INTERRUPTED'),
  );
}

test.each(['plain', 'custom', 'directory', 'directory_globals', 'tree'])(
  'what was interrupted is proven by a later drill: %s',
  async (source) => {
    expect(await drill(source)).toMatchObject({ verdict: 'proven' });
    expectNothingLeft(bed);
  },
);

test('kill -9 of a drill on a configured server: the next start drops its database', async () => {
  using own = new DrillBed();
  const url = cluster.urlOf('postgres');
  const job = { schedule: NEVER, sources: [{ type: 'postgres', name: 'plain', url: cluster.urlOf('big') }] };
  own.configure({ scratch: { directory: own.scratch, url }, jobs: { app: job } });
  const { filename } = await own.backup('app');
  const drills = "SELECT count(*) FROM pg_database WHERE datname LIKE 'cofre_drill_%'";
  // The server is not a child of the drill.
  const restoring = running(/^\S*psql -X/);
  const killed = await own.runUntil(['drill', filename], restoring, (pid) => process.kill(pid, 'SIGKILL'));
  expect(killed.signal).toBe('SIGKILL');
  expect(await cluster.psql('postgres', drills)).toBe('1');
  await using daemon = await own.startDaemon();
  expect(await cluster.psql('postgres', drills)).toBe('0');
  expect(await daemon.stop()).toEqual({ status: 0, signal: null });
  expectNothingLeft(own);
});

test('kill -9 of a drill by a user without rights: its next drill clears up', async (context) => {
  const prefix = asNobody();
  context.skip(prefix === undefined, 'another user cannot read this checkout');
  using own = new DrillBed();
  own.configureJob([{ type: 'postgres', name: 'plain', url: cluster.urlOf('big') }]);
  const { filename } = await own.backup('app');
  for (const path of [own.dir, own.scratch]) giveToNobody(path);
  const args = ['drill', filename];
  const options = { prefix: prefix ?? [] };
  const copying = running(/^postgres: cofre drill: .* COPY/);
  const killed = await own.runUntil(args, copying, (pid) => process.kill(pid, 'SIGKILL'), options);
  expect(killed.signal).toBe('SIGKILL');
  await own.waitForNoProcess();
  expect(own.left()).not.toEqual([]);
  const { results } = (await own.run(args, options)).json<DrillAnswer>();
  expect(results).toMatchObject([{ verdict: 'proven' }]);
  expectNothingLeft(own);
  expect(own.ended('@drill').map(({ outcome }) => outcome)).toEqual(['failed', 'succeeded']);
});
