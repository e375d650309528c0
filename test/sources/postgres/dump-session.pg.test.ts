import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GlobalsSource } from '../../../src/sources/postgres/globals-source.ts';
import { PostgresSource } from '../../../src/sources/postgres/postgres-source.ts';
import { type Cluster, runPsql, startCluster } from '../../../tools/cluster.ts';
import { NO_ABORT } from '../../support/fakes.ts';

/** Something of everything that the settings of a session may write in another way. */
const EVERYTHING = String.raw`
  CREATE TABLE t (at timestamptz DEFAULT '2024-01-02 03:04:05+02', d date, i interval, f float8, m money, y bytea,
                  ys bytea[], names text[], "select" text DEFAULT E'a\\b', x xml, r tstzrange);
  INSERT INTO t VALUES ('2024-01-02 03:04:05.678+02', '2024-02-03', '-1 mon +2 days -03:04:05', 0.1::float8 / 3,
    1234.5, '\xdeadbeef005c', ARRAY['\xde'::bytea], ARRAY['a', NULL, 'NULL'], E'a\\b é €', '<a>é</a>',
    '[2024-01-01,2024-02-02)');
  CREATE VIEW v AS SELECT at > '2024-01-01 00:00:00+02'::timestamptz AS late, '\xdead'::bytea = y AS dead,
                          E'\\' AS backslash FROM t;
  CREATE INDEX ON t (at) WHERE at > '2024-01-01 00:00:00+02';
  CREATE FUNCTION f(at timestamptz DEFAULT '2024-01-01 00:00:00+02', y bytea DEFAULT '\xff') RETURNS int
    LANGUAGE sql AS $$SELECT 1$$;
  SELECT lo_from_bytea(4711, '\x00ff41');
  COMMENT ON TABLE t IS E'a\\b é';`;

const SETTINGS = [
  ['timezone', "'Asia/Tokyo'"],
  ['datestyle', "'SQL, DMY'"],
  ['intervalstyle', 'sql_standard'],
  ['extra_float_digits', '-5'],
  ['bytea_output', 'escape'],
  ['xmlbinary', 'hex'],
  ['xmloption', 'document'],
  ['array_nulls', 'off'],
  ['quote_all_identifiers', 'on'],
  ['standard_conforming_strings', 'off'],
  ['escape_string_warning', 'off'],
  ['transform_null_equals', 'on'],
  ['client_encoding', 'LATIN1'],
  ['search_path', '"$user", nowhere'],
  ['row_security', 'off'],
  ['lock_timeout', '1'],
  ['default_text_search_config', "'pg_catalog.german'"],
  ['default_transaction_read_only', 'on'],
  ['default_transaction_isolation', 'serializable'],
  ['default_transaction_deferrable', 'on'],
  ['session_replication_role', 'replica'],
] as const;

let cluster: Cluster;
/** As they are dumped where nothing is set. */
let plain = '';
let globals = '';

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.psql(
    'postgres',
    `CREATE ROLE "é" VALID UNTIL '2030-01-02 03:04:05+02'; CREATE ROLE u SUPERUSER LOGIN`,
  );
  await cluster.createDatabase('app');
  await cluster.psql('app', EVERYTHING);
  await cluster.createDatabase('other');
  plain = await dump();
  globals = await dumpGlobals();
});
afterAll(async () => await cluster[Symbol.asyncDispose]());

async function textOf(source: PostgresSource | GlobalsSource): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of (await source.capture(NO_ABORT)).stream) chunks.push(chunk);
  return Buffer.concat(chunks)
    .toString()
    .replaceAll(/^\\(?:un)?restrict .*$/gm, '');
}

async function dump(
  query = '',
  user = 'u',
  env: NodeJS.ProcessEnv = { PATH: process.env['PATH'] },
): Promise<string> {
  const url = cluster.urlOf('app', user) + query;
  const rest = {
    format: 'plain',
    lockWaitTimeout_ms: 5_000,
    exclusive: false,
    binDir: cluster.binDir,
  } as const;
  return await textOf(new PostgresSource({ name: 'app', url, env, ...rest }));
}

async function dumpGlobals(): Promise<string> {
  const url = cluster.urlOf('app', 'u');
  const env = { PATH: process.env['PATH'] };
  return await textOf(
    new GlobalsSource({ database: 'app', url, passwords: false, binDir: cluster.binDir, env }),
  );
}

describe('the dump of a database', () => {
  test('is in UTC, hex and the encoding of the database', () => {
    expect(plain).toContain('2024-01-02 01:04:05.678+00\t2024-02-03\t-1 mons +2 days -03:04:05\t');
    expect(plain).toContain('\t\\\\xdeadbeef005c\t{"\\\\\\\\xde"}\t');
    expect(plain).toContain('€');
    expect(globals).toContain("VALID UNTIL '2030-01-02 01:04:05+00'");
  });

  test.each(SETTINGS)('does not depend on %s of the database', async (name, value) => {
    await cluster.psql('other', `ALTER DATABASE app SET ${name} = ${value}`);
    try {
      expect(await dump()).toBe(plain);
      expect(await dumpGlobals()).toBe(globals);
    } finally {
      await cluster.psql(
        'other',
        `SET default_transaction_read_only = off; ALTER DATABASE app RESET ${name}`,
      );
    }
  });

  test('does not depend on settings of the role either, nor on those given', async () => {
    await cluster.psql(
      'other',
      "ALTER ROLE u SET timezone = 'Asia/Tokyo'; ALTER ROLE u IN DATABASE app SET bytea_output = 'escape'",
    );
    try {
      expect(await dump()).toBe(plain);
      const options = encodeURIComponent('-c bytea_output=escape -c timezone=Asia/Tokyo -c work_mem=5MB');
      expect(await dump(`?options=${options}&client_encoding=LATIN1`)).toBe(plain);
      const env = { PATH: process.env['PATH'], PGTZ: 'Asia/Tokyo', PGCLIENTENCODING: 'LATIN1' };
      expect(await dump('', 'u', env)).toBe(plain);
    } finally {
      await cluster.psql('other', 'ALTER ROLE u RESET ALL; ALTER ROLE u IN DATABASE app RESET ALL');
    }
  });

  test('restores to the same, whatever is set where it is restored', async () => {
    await cluster.createDatabase('again');
    await cluster.psql('other', "ALTER DATABASE again SET timezone = 'America/New_York'");
    await runPsql(cluster.binDir, cluster.urlOf('again', 'u'), plain);
    const digest = 'SELECT md5(t::text), at FROM t';
    const settings = "SET timezone = 'UTC'; SET bytea_output = 'hex';";
    expect(await cluster.psql('again', settings + digest)).toBe(await cluster.psql('app', settings + digest));
  });
});

test('money is recorded with how it was written', async () => {
  const facts = async (user: string) => {
    const url = cluster.urlOf('app', user);
    const rest = { format: 'plain', lockWaitTimeout_ms: 5_000, exclusive: false } as const;
    const capture = await new PostgresSource({ name: 'app', url, ...rest }).capture(NO_ABORT);
    for await (const _ of capture.stream) continue;
    return capture.facts.locale?.monetary;
  };
  expect(await facts('postgres')).toBe(await cluster.psql('app', 'SHOW lc_monetary'));
  await cluster.psql('other', "ALTER ROLE u SET lc_monetary = 'POSIX'");
  expect(await facts('u')).toBe('POSIX');
  await cluster.psql('other', 'ALTER ROLE u RESET ALL');
});
