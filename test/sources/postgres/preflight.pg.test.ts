import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Finding } from '../../../src/domain/ports.ts';
import { PostgresSource, type PostgresSourceOptions } from '../../../src/sources/postgres/postgres-source.ts';
import { type Cluster, startCluster } from '../../../tools/cluster.ts';
import { fakeProgram } from '../../postgres/fake-program.ts';

const SIGNAL = new AbortController().signal;
let cluster: Cluster;
let dir = '';

const SCHEMA = `
CREATE ROLE reader LOGIN;
CREATE SCHEMA shop;
GRANT USAGE ON SCHEMA shop TO reader;
CREATE TABLE shop.orders (id serial PRIMARY KEY, at date);
CREATE TABLE shop.items (id int GENERATED ALWAYS AS IDENTITY, note text);
CREATE TABLE shop."Weird ""name" (x int);
CREATE TABLE shop.secured (x int);
ALTER TABLE shop.secured ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON shop.secured TO reader;
CREATE TABLE shop.owned (x int);
ALTER TABLE shop.owned ENABLE ROW LEVEL SECURITY;
ALTER TABLE shop.owned OWNER TO reader;
CREATE TABLE shop.parted (x int) PARTITION BY LIST (x);
CREATE TABLE shop.part1 PARTITION OF shop.parted FOR VALUES IN (1);
CREATE TABLE shop.by_column (a int, b int);
GRANT SELECT (a, b) ON shop.by_column TO reader;
CREATE VIEW shop.seen AS SELECT * FROM shop.orders;
CREATE MATERIALIZED VIEW shop.kept AS SELECT * FROM shop.orders;
CREATE SEQUENCE shop.lone;
CREATE SCHEMA closed;
CREATE TABLE closed.t (x int);
GRANT SELECT ON closed.t TO reader;
CREATE SCHEMA closed_but_empty;
CREATE TABLE public.readable (x int);
GRANT SELECT ON public.readable TO reader;
CREATE EXTENSION citext;
CREATE TABLE public.of_extension (x int);
CREATE TABLE public.configuration (x int);
ALTER EXTENSION citext ADD TABLE public.of_extension;
ALTER EXTENSION citext ADD TABLE public.configuration;
UPDATE pg_extension SET extconfig = ARRAY['public.configuration'::regclass::oid], extcondition = ARRAY['']
 WHERE extname = 'citext';
CREATE FOREIGN DATA WRAPPER nothing;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER nothing;
CREATE FOREIGN TABLE shop.remote (x int) SERVER elsewhere;
SELECT lo_create(4711);
`;

/** All that SCHEMA keeps from the role `reader`. */
const UNREADABLE = [
  'closed',
  'large object 4711',
  'public.configuration',
  'shop.Weird "name',
  'shop.by_column',
  'shop.items',
  'shop.items_id_seq',
  'shop.lone',
  'shop.orders',
  'shop.orders_id_seq',
  'shop.part1',
  'shop.parted',
  'shop.secured',
];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cofre-preflight-'));
  cluster = await startCluster();
  await cluster.createDatabase('shop');
  await cluster.psql('shop', SCHEMA);
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
});

function source(more: Partial<PostgresSourceOptions> = {}): PostgresSource {
  return new PostgresSource({
    name: 'app',
    url: cluster.urlOf('shop', 'reader'),
    format: 'plain',
    lockWaitTimeout_ms: 1000,
    exclusive: false,
    ...more,
  });
}

async function faults(more: Partial<PostgresSourceOptions> = {}): Promise<Finding[]> {
  const findings = await source(more).preflight(SIGNAL);
  return findings.filter(({ severity }) => severity !== 'info');
}

const pathsOf = (findings: readonly Finding[]) => findings.map(({ path }) => path).sort();

/** The first thing pg_dump fails on, or undefined when it succeeds. */
async function dumpFailure(more: Partial<PostgresSourceOptions> = {}): Promise<unknown> {
  const { stream } = await source(more).capture(SIGNAL);
  try {
    for await (const _chunk of stream);
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('Unreadable new table fails the whole dump, one table named at a time', () => {
  it('names every one at once, with the statement that helps, until the dump succeeds', async () => {
    const copy = 'repaired';
    await cluster.psql('postgres', `CREATE DATABASE ${copy} TEMPLATE shop`);
    const url = cluster.urlOf(copy, 'reader');
    expect(await dumpFailure({ url })).toMatchObject({ code: 'UNREADABLE' });
    const findings = await faults({ url });
    expect(pathsOf(findings)).toEqual(UNREADABLE);
    expect(new Set(findings.map(({ code }) => code))).toEqual(new Set(['UNREADABLE']));
    const hints = findings.map(({ hint }) => hint);
    expect(hints).toContain('GRANT SELECT ON TABLE shop."Weird ""name" TO reader;');
    expect(hints).toContain('GRANT SELECT ON SEQUENCE shop.lone TO reader;');
    expect(hints).toContain('GRANT USAGE ON SCHEMA closed TO reader;');
    await cluster.psql(copy, hints.map((hint) => hint.replace(/^For each: /, '')).join('\n'));
    try {
      expect(await faults({ url })).toEqual([]);
      expect(await dumpFailure({ url })).toBeUndefined();
    } finally {
      await cluster.psql('postgres', 'ALTER ROLE reader NOBYPASSRLS');
    }
  });

  it('has nothing to say to a superuser', async () => {
    const url = cluster.urlOf('shop');
    expect(await faults({ url })).toEqual([]);
    expect(await dumpFailure({ url })).toBeUndefined();
  });

  /** Each with what is left to complain about; where that is nothing, pg_dump must succeed. */
  it.each([
    [{ include: { schemas: ['public'] } }, ['public.configuration']],
    [{ include: { schemas: ['public'] }, exclude: { tables: ['public.conf*'] } }, []],
    [{ include: { tables: ['readable'] } }, []],
    [{ include: { tables: ['public.readable', 'shop.owned'] } }, []],
    [{ include: { tables: ['shop.orders'] } }, ['shop.orders', 'shop.orders_id_seq']],
    [{ include: { tables: ['shop.items'] } }, ['shop.items', 'shop.items_id_seq']],
    [{ include: { tables: ['shop.items_id_seq'] } }, []],
    [{ include: { tables: ['shop.se*n', 'shop.kept', 'shop.remote'] } }, []],
    [{ include: { tables: ['*.of_extension'] } }, []],
    [{ include: { tables: ['configuration'] } }, ['public.configuration']],
    [{ include: { schemas: ['"closed_but_empty"'] } }, []],
    [{ include: { schemas: ['CLOSED*'] } }, ['closed']],
    [{ include: { schemas: ['clo*'] }, exclude: { schemas: ['closed'] } }, []],
    [
      { include: { schemas: ['shop'] }, exclude: { tables: ['shop.(p|s|b|W|o|"W")*', 'shop.l?ne'] } },
      ['shop.items', 'shop.items_id_seq'],
    ],
    [
      { exclude: { schemas: ['shop', 'closed'], tables: ['configuration', 'nothing_of_that_name'] } },
      ['large object 4711'],
    ],
  ] as const)('honours %j as pg_dump does', async (filters, left) => {
    expect(pathsOf(await faults(filters))).toEqual(left);
    const failure = (await dumpFailure(filters)) as { code: string } | undefined;
    expect(failure?.code).toBe(left.length === 0 ? undefined : 'UNREADABLE');
  });
});

describe('preflight', () => {
  it.each([
    [{ include: { tables: ['absent', 'readable'] } }, 'include.tables: absent', 'SOURCE_MISSING'],
    [{ include: { tables: ['owned'] } }, 'include.tables: owned', 'SOURCE_MISSING'],
    [
      { include: { schemas: ['nope*', 'public'] }, exclude: { tables: ['*'] } },
      'include.schemas: nope*',
      'SOURCE_MISSING',
    ],
    [{ include: { tables: ['a.b.c.d'] } }, 'include.tables: a.b.c.d', 'CONFIG_INVALID'],
    [
      { include: { tables: ['other.public.readable'] } },
      'include.tables: other.public.readable',
      'CONFIG_INVALID',
    ],
    [
      { include: { tables: ['readable'] }, exclude: { tables: ['a('] } },
      'exclude.tables: a(',
      'CONFIG_INVALID',
    ],
  ])('reports the pattern in %j that pg_dump fails on', async (filters, path, code) => {
    expect(await faults(filters)).toMatchObject([
      { severity: 'error', path, code, hint: expect.stringMatching(/\w/) },
    ]);
    expect(await dumpFailure(filters)).toMatchObject({
      code: code === 'SOURCE_MISSING' ? 'SOURCE_MISSING' : 'TOOL_FAILED',
    });
  });

  it.each([
    [{ include: { tables: ['shop.parted'] } }, ['shop.parted']],
    [{ include: { tables: ['shop.part*'] } }, []],
    [{ include: { tables: ['shop.parted'] }, exclude: { tables: ['shop.part1'] } }, []],
    [{ exclude: { tables: ['shop.part1'] } }, []],
    [{ include: { schemas: ['shop'] } }, []],
  ])('warns of partitions that %j leaves out by mistake', async (filters, tables) => {
    const findings = await source({ url: cluster.urlOf('shop'), ...filters }).preflight(SIGNAL);
    const warned = findings.filter(({ code }) => code === 'ROWS_LEFT_OUT');
    expect(pathsOf(warned)).toEqual(tables);
    expect(warned.every(({ message }) => message.includes('1 of its partitions, such as shop.part1'))).toBe(
      true,
    );
  });

  it('warns of include.schemas beside include.tables, since pg_dump passes over it', async () => {
    const findings = await faults({ include: { schemas: ['shop'], tables: ['readable'] } });
    expect(findings).toMatchObject([{ severity: 'warning', message: expect.stringContaining('no effect') }]);
  });

  it('says what it connected to and which programs it found', async () => {
    const findings = await source({ format: 'custom', include: { tables: ['readable'] } }).preflight(SIGNAL);
    expect(findings.map(({ severity, code }) => [severity, code])).toEqual([
      ['info', 'OK'],
      ['info', 'OK'],
      ['info', 'OK'],
    ]);
    expect(findings.map(({ message }) => message).join('\n')).toMatch(
      /"shop" at \S+ as user "reader", PostgreSQL \d+[^]*pg_dump \d+[^]*pg_restore \d+/,
    );
  });

  it('version mismatch of pg_dump and server: names both, and the unreadable tables all the same', async () => {
    await fakeProgram(dir, 'pg_dump', '9.6.24');
    const findings = await faults({ binDir: dir });
    expect(findings[0]).toMatchObject({
      code: 'SERVER_TOO_NEW',
      message: expect.stringMatching(
        new RegExp(`PostgreSQL ${cluster.major}\\.\\S+.* newest found .*9\\.6\\.24`),
      ),
    });
    expect(pathsOf(findings.slice(1))).toEqual(UNREADABLE);
    await expect(source({ binDir: dir }).capture(SIGNAL)).rejects.toMatchObject({ code: 'SERVER_TOO_NEW' });
  });

  it('misses pg_restore for the custom format', async () => {
    await fakeProgram(dir, 'pg_dump', '99.1');
    const findings = await faults({ binDir: dir, format: 'custom', include: { tables: ['readable'] } });
    expect(findings).toMatchObject([{ severity: 'error', code: 'TOOL_MISSING', path: 'pg_restore' }]);
  });

  it.each([
    ['postgresql://reader@127.0.0.1:1/shop', 'SERVER_UNREACHABLE'],
    ['postgresql://reader:s3cret@h/shop?sslmode=oops', 'CONFIG_INVALID'],
  ])('turns a failure to connect to %s into a finding', async (url, code) => {
    const findings = await faults({ url });
    expect(findings).toMatchObject([
      { severity: 'error', code, path: 'app', hint: expect.stringMatching(/\w/) },
    ]);
    expect(JSON.stringify(findings)).not.toContain('s3cret');
  });

  it('throws for cancellation only', async () => {
    const reason = new Error('enough');
    await expect(source().preflight(AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  it('leaves no session behind', async () => {
    await faults();
    const count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cofre'";
    await expect.poll(async () => await cluster.psql('postgres', count)).toBe('0');
  });
});
