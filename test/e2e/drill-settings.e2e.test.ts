import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Verdict } from '../../src/domain/manifest.ts';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { DrillBed, expectNothingLeft } from '../support/drill-bed.ts';
import { CAN_MAKE_LOCALES, makeLocales } from '../support/made-locale.ts';
import type { Json } from '../support/workspace.ts';

const NO_LOCALES = { LOCPATH: '/nonexistent' };

let cluster: Cluster;
let locales = '';

beforeAll(async () => {
  if (CAN_MAKE_LOCALES) locales = makeLocales('de_DE');
  const before = process.env['LOCPATH'];
  if (locales !== '') process.env['LOCPATH'] = locales;
  cluster = await startCluster();
  if (before === undefined) delete process.env['LOCPATH'];
  else process.env['LOCPATH'] = before;
  await cluster.psql('postgres', "CREATE ROLE odd SUPERUSER LOGIN VALID UNTIL '2030-03-02 03:04:05+02'");
  await cluster.createDatabase('odd');
  await cluster.psql(
    'odd',
    String.raw`CREATE TABLE seen (id serial, at timestamptz DEFAULT '2024-01-02 03:04:05+02', y bytea, n text[]);
      INSERT INTO seen (at, y, n) SELECT '2024-01-02 03:04:05+02'::timestamptz + i * '1 hour'::interval, '\xdead00',
        ARRAY[NULL, 'NULL', E'a\\b é €'] FROM generate_series(1, 200) i;
      CREATE INDEX ON seen (at) WHERE at > '2024-01-03 00:00:00+02';
      CREATE VIEW late AS SELECT * FROM seen WHERE at > '2024-01-03 00:00:00+02'::timestamptz AND y <> '\xff';`,
  );
  await cluster.psql(
    'postgres',
    `ALTER DATABASE odd SET timezone = 'Asia/Tokyo';
     ALTER DATABASE odd SET bytea_output = 'escape';
     ALTER DATABASE odd SET client_encoding = 'LATIN1';
     ALTER DATABASE odd SET standard_conforming_strings = off;
     ALTER DATABASE odd SET search_path = nowhere;
     ALTER DATABASE odd SET default_transaction_read_only = on;
     ALTER DATABASE odd SET default_transaction_isolation = 'serializable';
     ALTER DATABASE odd SET array_nulls = off;
     ALTER ROLE odd SET datestyle = 'SQL, DMY';
     ALTER ROLE odd IN DATABASE odd SET timezone = 'America/St_Johns';
     ALTER ROLE odd SET quote_all_identifiers = on;
     ALTER ROLE odd SET intervalstyle = 'sql_standard';
     ALTER ROLE odd SET statement_timeout = '20s';`,
  );
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  if (locales !== '') rmSync(locales, { recursive: true });
});

function bedWith(sources: Json[], scratch: Json = {}): DrillBed {
  const bed = new DrillBed();
  onTestFinished(() => bed[Symbol.dispose]());
  bed.configureJob(sources, {});
  if (Object.keys(scratch).length > 0) {
    const job = { schedule: '0 0 29 2 *', sources, compression: 'none' };
    bed.configure({ scratch: { directory: bed.scratch, ...scratch }, jobs: { app: job } });
  }
  return bed;
}

async function drill(bed: DrillBed, filenames: string[], env: NodeJS.ProcessEnv = {}) {
  const finished = await bed.run(['drill', ...filenames], { env });
  const { results } = finished.json<{ results: { verdict: Verdict; detail: string }[] }>();
  return results;
}

const ODD = () => [
  { type: 'postgres', name: 'odd', url: cluster.urlOf('odd', 'odd'), globals: true },
  { type: 'postgres', name: 'odd_custom', url: cluster.urlOf('odd', 'odd'), format: 'custom' },
];

describe('a database and a role with settings of their own', () => {
  test('are proven, with the roles, on this machine and on a configured server', async () => {
    const bed = bedWith(ODD());
    const filenames = [...(await bed.backupAll()).values()].map(({ filename }) => filename);
    expect(filenames).toHaveLength(3);
    const results = await drill(bed, filenames);
    expect(results.map(({ verdict }) => verdict)).toEqual(['proven', 'proven', 'proven']);
    expectNothingLeft(bed);

    await using other = await startCluster({
      settings: { timezone: 'Asia/Kolkata', bytea_output: 'escape', default_transaction_read_only: 'off' },
    });
    await other.psql('postgres', 'CREATE ROLE odd; ALTER ROLE postgres SET array_nulls = off');
    const elsewhere = bedWith(ODD(), { url: other.url });
    const again = [...(await elsewhere.backupAll()).values()].map(({ filename }) => filename);
    const proofs = await drill(elsewhere, again);
    expect(proofs.map(({ verdict }) => verdict)).toEqual(['proven', 'proven', 'proven']);
    expect(await other.psql('postgres', "SELECT count(*) FROM pg_database WHERE datname ~ 'cofre'")).toBe(
      '0',
    );
  });

  test('are restored to the same', async () => {
    const bed = bedWith(ODD());
    const archives = await bed.backupAll();
    const digest = `SET timezone = 'UTC'; SET bytea_output = hex;
                    SELECT count(*), md5(string_agg(s::text, ',' ORDER BY id)) FROM public.seen s`;
    const expected = await cluster.psql('odd', digest);
    for (const [source, to] of [
      ['odd', 'odd_again'],
      ['odd_custom', 'odd_again_custom'],
    ] as const) {
      const { filename = '' } = archives.get(source) ?? {};
      const finished = await bed.run(['restore', filename, '--to', cluster.urlOf(to, 'odd'), '--create']);
      expect(finished.status).toBe(0);
      expect(await cluster.psql(to, digest)).toBe(expected);
    }
  });
});

describe('variables of libpq in the environment', () => {
  // Each leads astray, or keeps out, whoever heeds it.
  const ASTRAY = {
    PGHOST: '192.0.2.1',
    PGHOSTADDR: '192.0.2.1',
    PGPORT: '1',
    PGDATABASE: 'nowhere',
    PGUSER: 'nobody',
    PGSERVICE: 'nowhere',
    PGSERVICEFILE: '/nonexistent',
    PGOPTIONS: '-c default_transaction_read_only=on',
    PGREQUIREAUTH: 'password',
    PGSSLMODE: 'verify-full',
    PGTARGETSESSIONATTRS: 'standby',
    PGCLIENTENCODING: 'LATIN1',
    PGTZ: 'Asia/Tokyo',
  };

  test('are about the servers of sources, not about those of drills', async () => {
    const bed = bedWith(ODD());
    const filenames = [...(await bed.backupAll()).values()].map(({ filename }) => filename);
    const results = await drill(bed, filenames, ASTRAY);
    expect(results.map(({ verdict }) => verdict)).toEqual(['proven', 'proven', 'proven']);
    expectNothingLeft(bed);
  });

  test('are not about a configured server either', async () => {
    const bed = bedWith(ODD().slice(1), { url: cluster.url });
    const filenames = [...(await bed.backupAll()).values()].map(({ filename }) => filename);
    // What a killed drill has left on the server is found there as well.
    await cluster.createDatabase('cofre_drill_0123456789abcdef');
    const finished = await bed.run(['drill', ...filenames], { env: ASTRAY });
    expect(finished.json()).toMatchObject({ results: [{ verdict: 'proven' }] });
    expect(finished.stderr).toContain('had left: cofre_drill_0123456789abcdef');
    expect(await cluster.psql('postgres', "SELECT count(*) FROM pg_database WHERE datname ~ 'cofre'")).toBe(
      '0',
    );
  });
});

// Where no locale but C can be made, money is written in one way only.
describe.skipIf(!CAN_MAKE_LOCALES)('money of another locale', () => {
  test('is proven where the locale is, and neither proven nor refuted where it is not', async () => {
    await cluster.createDatabase('rich');
    await cluster.psql(
      'postgres',
      `ALTER DATABASE rich SET lc_monetary = 'de_DE.UTF-8'; ALTER DATABASE rich SET timezone = 'Asia/Tokyo'`,
    );
    await cluster.psql(
      'rich',
      'CREATE TABLE t (m money, at timestamptz); INSERT INTO t SELECT n::numeric::money, now() FROM generate_series(1, 20) n',
    );
    const bed = bedWith([{ type: 'postgres', name: 'rich', url: cluster.urlOf('rich') }]);
    const [manifest] = (await bed.backupAll()).values();
    expect(manifest?.locale).toMatchObject({ monetary: 'de_DE.UTF-8' });
    const filenames = [manifest?.filename ?? ''];
    expect(await drill(bed, filenames, { LOCPATH: locales })).toMatchObject([{ verdict: 'proven' }]);
    expect(await drill(bed, filenames, NO_LOCALES)).toMatchObject([
      {
        verdict: 'not provable here',
        detail: expect.stringContaining(
          'the locale de_DE.UTF-8, by which money is written, is not available',
        ),
      },
    ]);
    expectNothingLeft(bed);
  });
});
