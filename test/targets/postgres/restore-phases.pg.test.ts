import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { restoreInPhases } from '../../../src/targets/postgres/restore-phases.ts';
import { type Cluster, startCluster } from '../../../tools/cluster.ts';
import { dumpOf, textOf } from '../../support/dumps.ts';
import { SIGNAL } from './restoring.ts';

/** Enough that several jobs grant in the wrong order sooner or later. */
const TABLES = 60;
const JOBS = 8;
let cluster: Cluster;
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cofre-phases-'));
  cluster = await startCluster();
  await cluster.psql('postgres', 'CREATE ROLE lender; CREATE ROLE broker; CREATE ROLE reader;');
  await cluster.createDatabase('chained');
  await cluster.psql(
    'chained',
    `CREATE SCHEMA vault;
     CREATE FUNCTION vault.noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
     DO $$ BEGIN
       FOR n IN 1..${TABLES} LOOP
         EXECUTE format('CREATE TABLE vault.t%s AS SELECT %s AS id', n, n);
         EXECUTE format('GRANT SELECT ON vault.t%s TO lender WITH GRANT OPTION', n);
       END LOOP;
     END $$;
     GRANT USAGE ON SCHEMA vault TO lender WITH GRANT OPTION;
     SET ROLE lender;
     GRANT USAGE ON SCHEMA vault TO broker;
     DO $$ BEGIN
       FOR n IN 1..${TABLES} LOOP
         EXECUTE format('GRANT SELECT ON vault.t%s TO broker WITH GRANT OPTION', n);
       END LOOP;
     END $$;
     SET ROLE broker;
     DO $$ BEGIN
       FOR n IN 1..${TABLES} LOOP EXECUTE format('GRANT SELECT ON vault.t%s TO reader', n); END LOOP;
     END $$;
     RESET ROLE;
     ALTER DEFAULT PRIVILEGES IN SCHEMA vault GRANT SELECT ON TABLES TO reader;
     CREATE MATERIALIZED VIEW vault.sums AS SELECT sum(id) FROM vault.t1;
     CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION vault.noted();
     COMMENT ON EVENT TRIGGER noted IS 'it notes';`,
  );
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
});

test.each([1, JOBS])('rights that others than the owner granted come back, with %i jobs', async (jobs) => {
  const file = join(dir, `chained-${jobs}.dump`);
  await writeFile(file, await dumpOf(cluster, 'chained', '--format=custom'));
  const database = `back_${jobs}`;
  const connectionString = await cluster.createDatabase(database);
  const pgRestore = { path: join(cluster.binDir, 'pg_restore'), major: cluster.major, version: '' };
  const login = { connectionString, env: process.env };
  await restoreInPhases({ pgRestore, login, jobs, args: [file], directory: dir }, SIGNAL);
  expect(await textOf(cluster, database)).toBe(await textOf(cluster, 'chained'));
});

test('what is left out by the arguments stays out', async () => {
  const file = join(dir, 'part.dump');
  await writeFile(file, await dumpOf(cluster, 'chained', '--format=custom'));
  const connectionString = await cluster.createDatabase('part');
  const pgRestore = { path: join(cluster.binDir, 'pg_restore'), major: cluster.major, version: '' };
  const login = { connectionString, env: process.env };
  const args = ['--no-owner', '--no-privileges', file];
  await restoreInPhases({ pgRestore, login, jobs: 2, args, directory: dir }, SIGNAL);
  const text = await textOf(cluster, 'part');
  expect(text).not.toContain('GRANT');
  expect(text).toContain('CREATE EVENT TRIGGER noted');
  expect(await cluster.psql('part', 'SELECT sum FROM vault.sums')).toBe('1');
});
