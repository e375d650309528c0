import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Manifest, Verdict } from '../../src/domain/manifest.ts';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { RestoreBed } from '../support/restore-bed.ts';
import { NEVER } from '../support/workspace.ts';

let cluster: Cluster;
let server: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.psql('postgres', 'CREATE ROLE alice; CREATE ROLE bob');
  await cluster.createDatabase('shop');
  await cluster.psql(
    'shop',
    `CREATE SCHEMA app AUTHORIZATION alice; CREATE TABLE app.t (id int); INSERT INTO app.t VALUES (1), (2);
     ALTER TABLE app.t OWNER TO alice; GRANT SELECT ON app.t TO bob; CREATE TABLE u (id int);
     ALTER TABLE u OWNER TO bob;`,
  );
  await cluster.createDatabase('news');
  await cluster.psql(
    'news',
    "CREATE TABLE n (id int); CREATE SUBSCRIPTION news CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false)",
  );
  await cluster.createDatabase('wide');
  await cluster.psql(
    'wide',
    String.raw`SELECT format('CREATE TABLE t%s (id int)', n) FROM generate_series(1, 3000) n \gexec`,
  );
  server = await startCluster({ settings: { max_locks_per_transaction: '10', max_connections: '20' } });
  await server.psql('postgres', 'CREATE ROLE modest LOGIN CREATEDB; CREATE ROLE alice; CREATE ROLE bob');
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

/** Drills on the server, as this role. */
async function bedOn(role: string, database: string, format: string): Promise<RestoreBed> {
  const bed = new RestoreBed();
  onTestFinished(() => bed[Symbol.dispose]());
  const source = { type: 'postgres', name: 'app', url: cluster.urlOf(database), format };
  await bed.backUp([source]);
  const scratch = { directory: bed.scratch, url: server.urlOf('postgres', role) };
  bed.configure({ scratch, jobs: { app: { schedule: NEVER, sources: [source] } } });
  return bed;
}

async function drilled(
  bed: RestoreBed,
  { filename }: Manifest,
): Promise<{ verdict: Verdict; detail: string; stderr: string }> {
  const finished = await bed.run(['drill', filename]);
  const [result] = finished.json<{ results: { verdict: Verdict; detail: string }[] }>().results;
  if (result === undefined) throw new Error(finished.stderr);
  return { ...result, stderr: finished.stderr };
}

async function scratchDatabases(): Promise<string> {
  return await server.psql('postgres', "SELECT count(*) FROM pg_database WHERE datname ~ '^cofre_'");
}

describe.each(['plain', 'custom'])('a drill of a %s archive on a configured server', (format) => {
  test('by a role that may act for no owner leaves owners aside, and says so', async () => {
    const bed = await bedOn('modest', 'shop', format);
    expect(await drilled(bed, bed.of('app'))).toMatchObject({
      verdict: 'proven',
      detail: expect.stringContaining(
        'owners and privileges left aside: the role that drills there may not act as alice; bob',
      ),
    });
  });

  test('that its role may not do says nothing of the archive', async () => {
    const bed = await bedOn('modest', 'news', format);
    expect(await drilled(bed, bed.of('app'))).toMatchObject({
      verdict: 'not provable here',
      detail: expect.stringMatching(/must be superuser|permission denied/),
    });
  });

  test('for which it lacks resources says nothing of the archive', async () => {
    const bed = await bedOn('modest', 'wide', format);
    expect(await drilled(bed, bed.of('app'))).toMatchObject({
      verdict: 'not provable here',
      detail: expect.stringContaining('out of shared memory'),
    });
  });

  test('leaves no database behind that has a subscription', async () => {
    const bed = await bedOn('postgres', 'news', format);
    expect(await drilled(bed, bed.of('app'))).toMatchObject({ verdict: 'proven' });
    expect(await scratchDatabases()).toBe('0');
  });
});

test('a drill whose role has no connection left says nothing of the archive', async () => {
  await server.psql('postgres', 'ALTER ROLE modest CONNECTION LIMIT 1');
  const bed = await bedOn('modest', 'shop', 'custom');
  expect(await drilled(bed, bed.of('app'))).toMatchObject({
    verdict: 'not provable here',
    detail: expect.stringContaining('too many connections'),
  });
  expect(await scratchDatabases()).toBe('0');
  await server.psql('postgres', 'ALTER ROLE modest CONNECTION LIMIT -1');
});

test('an archive that does not restore by what it holds has failed, whoever drills', async () => {
  const bed = await bedOn('modest', 'shop', 'plain');
  const { locale } = bed.of('app');
  const forged = await bed.forgeText('app', (sql) =>
    sql.replace('CREATE TABLE public.u', 'CREATE TABLE app.t'),
  );
  // A manifest that is made anew does not know the locale, which may then be why.
  const manifest = { ...bed.manifestOf(forged), locale };
  writeFileSync(bed.manifestPath(forged), JSON.stringify(manifest));
  expect(await drilled(bed, bed.manifestOf(forged))).toMatchObject({
    verdict: 'failed',
    detail: expect.stringContaining('already exists'),
  });
});

test('a dump with a command of psql has failed its drill: somebody changed it', async () => {
  const bed = await bedOn('postgres', 'shop', 'plain');
  const forged = await bed.forgeText('app', (sql) =>
    sql.replace('CREATE TABLE public.u', '\\! id\nCREATE TABLE public.u'),
  );
  const { status, stdout } = await bed.run(['drill', forged]);
  expect(status).toBe(1);
  expect(stdout).toMatch(/"verdict": ?"failed"/);
  expect(stdout).toContain('of psql, which pg_dump never writes');
});
