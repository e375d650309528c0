import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../../tools/cluster.ts';
import { ODD_DATABASE } from '../../support/odd-database.ts';
import { streamOf } from '../../support/dumps.ts';
import { failureOf, PLAIN, SIGNAL, targetOf } from './restoring.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.createDatabase('odd');
  await cluster.psql('odd', ODD_DATABASE);
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

describe('looking at a target', () => {
  it('tells a database that is empty from one that is not there', async () => {
    const facts = {
      system_identifier: await cluster.psql('postgres', 'SELECT system_identifier FROM pg_control_system()'),
      major: cluster.major,
      occupants: [],
    };
    const url = await cluster.createDatabase('Em"pty');
    expect(await targetOf(url).look(SIGNAL)).toEqual({
      ...facts,
      exists: true,
      database: 'Em"pty',
      description: `Em"pty at ${cluster.socketDir}:5432`,
    });
    expect(await targetOf(cluster.urlOf('not there')).look(SIGNAL)).toEqual({
      ...facts,
      exists: false,
      database: 'not there',
      description: `not there at ${cluster.socketDir}:5432`,
    });
  });

  it('names what it holds without what steers a terminal', async () => {
    const url = await cluster.createDatabase('coloured');
    await cluster.psql('coloured', 'CREATE TABLE "bad\x1b[31mred" ()');
    expect((await targetOf(url).look(SIGNAL)).occupants).toEqual(['table public."bad\\u{1b}[31mred"']);
    const error = await failureOf(targetOf(url).restore(streamOf(''), PLAIN, SIGNAL));
    expect(error).toMatchObject({
      code: 'TARGET_REFUSED',
      message: expect.stringContaining('it holds table public."bad\\u{1b}[31mred"'),
    });
  });

  it('does so where the database postgres does not exist', async () => {
    await cluster.psql('template1', 'ALTER DATABASE postgres RENAME TO gone');
    try {
      expect(await targetOf(cluster.urlOf('postgres')).look(SIGNAL)).toMatchObject({
        exists: false,
        database: 'postgres',
      });
    } finally {
      await cluster.psql('template1', 'ALTER DATABASE gone RENAME TO postgres');
    }
  });

  it('throws what connecting throws', async () => {
    const nobody = await failureOf(targetOf(cluster.urlOf('odd', 'nobody')).look(SIGNAL));
    expect(nobody.code).toBe('SERVER_AUTH');
    const away = await failureOf(targetOf('postgresql://postgres@%2Fnowhere/odd').look(SIGNAL));
    expect(away.code).toBe('SERVER_UNREACHABLE');
  });

  it('finds relations, types and functions, and names none that come with another', async () => {
    const url = await cluster.createDatabase('occupied');
    await cluster.psql(
      'occupied',
      `CREATE TABLE t (id serial PRIMARY KEY, v text); CREATE VIEW v AS SELECT 1 AS a;
       CREATE MATERIALIZED VIEW m AS SELECT 1 AS a; CREATE SEQUENCE s; CREATE SCHEMA "Sa les"; CREATE EXTENSION hstore;
       CREATE TABLE "Sa les"."p;" (a int) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF "Sa les"."p;" DEFAULT;
       CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS $$SELECT 1$$;
       CREATE TYPE mood AS ENUM ('a'); CREATE TYPE pair AS (a int, b int); CREATE TYPE span AS RANGE (subtype = int);
       CREATE DOMAIN small AS int;`,
    );
    const { occupants } = await targetOf(url).look(SIGNAL);
    expect(occupants).toEqual([
      'materialized view public.m',
      'sequence public.s',
      'table "Sa les"."p;"',
      'table public.t',
      'view public.v',
      'extension hstore',
      'function public.f(integer)',
      'type public.mood',
      'type public.pair',
      'type public.small',
      'type public.span',
    ]);
  });

  it('finds what is in no schema', async () => {
    const url = await cluster.createDatabase('occupied_too');
    await cluster.psql(
      'occupied_too',
      `SELECT lo_from_bytea(4711, '');
       CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN END$$;
       CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION e();
       CREATE PUBLICATION p;
       CREATE SUBSCRIPTION s CONNECTION '' PUBLICATION p WITH (connect = false, slot_name = NONE);
       CREATE FOREIGN DATA WRAPPER w; CREATE COLLATION c FROM "C"; CREATE TEXT SEARCH CONFIGURATION t (COPY = simple);
       ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;`,
    );
    const { occupants } = await targetOf(url).look(SIGNAL);
    expect(occupants).toEqual([
      'function public.e()',
      'large object 4711',
      'event trigger watch',
      'publication p',
      'foreign-data wrapper w',
      'collation public.c',
      'text search configuration public.t',
      'default acl for role postgres in schema public on tables',
      'subscription s',
    ]);
  });

  it('finds nothing in a database whose schema and language were made anew, nor what is temporary', async () => {
    const url = await cluster.createDatabase('as_good_as_empty');
    const client = new Client({ connectionString: url });
    await client.connect();
    try {
      await client.query(
        `DROP EXTENSION plpgsql; CREATE EXTENSION plpgsql; DROP SCHEMA public; CREATE SCHEMA public;
         CREATE TEMP TABLE t (); CREATE TEMP SEQUENCE s;`,
      );
      expect((await targetOf(url).look(SIGNAL)).occupants).toEqual([]);
    } finally {
      await client.end();
    }
  });

  it('names twenty and says how many more there are', async () => {
    const url = await cluster.createDatabase('many');
    await cluster.psql(
      'many',
      "SELECT format('CREATE TABLE t%s (id int PRIMARY KEY)', lpad(n::text, 3, '0')) FROM generate_series(1, 123) n \\gexec",
    );
    const { occupants } = await targetOf(url).look(SIGNAL);
    expect(occupants).toHaveLength(21);
    expect(occupants[0]).toBe('table public.t001');
    expect(occupants.at(-1)).toBe('103 more');
  });
});

describe('counting rows', () => {
  it('counts what a dump copies of each table, whatever its name', async () => {
    await cluster.createDatabase('counted');
    await cluster.psql(
      'counted',
      `CREATE TABLE parent (a int); INSERT INTO parent VALUES (1);
       CREATE TABLE child () INHERITS (parent); INSERT INTO child VALUES (2), (3);
       CREATE VIEW v AS SELECT 1;`,
    );
    const tables = ['child', 'parent', 'gone', 'v'].map((name) => ({ schema: 'public', name }));
    expect(await targetOf(cluster.urlOf('counted')).countRows(tables, SIGNAL)).toEqual([
      2,
      1,
      undefined,
      undefined,
    ]);
    const odd = [
      { schema: 'public', name: 'COPY' },
      { schema: 'We"ird ſchema', name: 'Таблица "x" (a, b) FROM stdin;' },
      { schema: 'public', name: 'no_columns' },
      { schema: 'public', name: 'parted' },
      { schema: 'public', name: 'parted_2025' },
      { schema: '', name: 'copy' },
    ];
    expect(await targetOf(cluster.urlOf('odd')).countRows(odd, SIGNAL)).toEqual([1000, 2, 2, 0, 1, 1]);
    expect(await targetOf(cluster.urlOf('odd')).countRows([], SIGNAL)).toEqual([]);
  });

  it('finds tables whose names are recorded as the bytes that they are in another encoding', async () => {
    await cluster.psql(
      'postgres',
      "CREATE DATABASE eucjp TEMPLATE template0 ENCODING 'EUC_JP' LC_COLLATE 'C' LC_CTYPE 'C'",
    );
    await cluster.psql(
      'eucjp',
      `SET client_encoding = 'UTF8'; CREATE SCHEMA 日; CREATE TABLE 日.本 (a int); INSERT INTO 日.本 VALUES (1), (2);
       CREATE TABLE 日.plain (a int);`,
    );
    // 日 and 本 in EUC_JP, read as Latin-1.
    const tables = [
      { schema: 'Æü', name: 'ËÜ' },
      { schema: 'Æü', name: 'plain' },
      { schema: 'public', name: 'ËÜ' },
    ];
    expect(await targetOf(cluster.urlOf('eucjp')).countRows(tables, SIGNAL)).toEqual([2, 0, undefined]);
  });

  it('fails rather than miss the rows that row security hides', async () => {
    await cluster.createDatabase('hidden');
    await cluster.psql(
      'hidden',
      `CREATE ROLE peeping LOGIN; CREATE TABLE t (a int); INSERT INTO t VALUES (1); GRANT SELECT ON t TO peeping;
       ALTER TABLE t ENABLE ROW LEVEL SECURITY;`,
    );
    const target = targetOf(cluster.urlOf('hidden', 'peeping'));
    const error = await failureOf(target.countRows([{ schema: 'public', name: 't' }], SIGNAL));
    expect(error.message).toContain('row-level security');
  });
});

describe('what a dump needs', () => {
  it('and the server does not have is named', async () => {
    const needs = {
      roles: ['postgres', 'nobody_here', 'pg_monitor'],
      superusers: [],
      extensions: ['hstore', 'no_such_extension'],
      tablespaces: ['pg_default', 'fast'],
    };
    expect(await targetOf(cluster.urlOf('not there')).lacking(needs, SIGNAL)).toEqual({
      roles: ['nobody_here'],
      extensions: ['no_such_extension'],
      tablespaces: ['fast'],
    });
  });
});
