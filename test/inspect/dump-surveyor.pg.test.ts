import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type DumpSurvey, isAboutRoles } from '../../src/domain/dump-survey.ts';
import type { DumpSurveyor } from '../../src/domain/ports.ts';
import { ArchivedDumpSurveyor, PlainDumpSurveyor } from '../../src/inspect/dump-surveyor.ts';
import { PlainDumpInspector } from '../../src/inspect/plain-dump.ts';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { ODD_DATABASE } from '../support/odd-database.ts';

const execFileAsync = promisify(execFile);
const ROLES = `
CREATE ROLE "we ird" LOGIN PASSWORD 'geheim'; CREATE ROLE owner1; CREATE ROLE "Größe"; CREATE ROLE reader;
CREATE ROLE chief SUPERUSER;
`;
/** What names roles, and every kind of expression that comes back from a restore in other words. */
const SHOP = `
SET check_function_bodies = off;
CREATE SCHEMA shop AUTHORIZATION owner1;
CREATE TYPE public."My Type" AS ENUM ('x', 'y');
CREATE DOMAIN public.dom AS varchar(5) CHECK (VALUE IN ('p', 'q'));
CREATE TABLE shop.orders (
  id int, status varchar(10) DEFAULT 'a' CHECK (status IN ('a', 'b')), total numeric(10,2) DEFAULT 1.5::numeric(5,1),
  kind public."My Type" DEFAULT 'x' CHECK (kind IN ('x', 'y')), tags varchar(20)[] DEFAULT ARRAY['t']::varchar(20)[],
  at timestamp(3) with time zone CHECK (at > '2020-01-01'), span interval day to second(3) DEFAULT '1 day'
);
ALTER TABLE shop.orders OWNER TO owner1;
INSERT INTO shop.orders (id, status) SELECT n, CASE WHEN n % 2 = 0 THEN 'a' ELSE 'b' END FROM generate_series(1, 50) n;
CREATE INDEX part ON shop.orders (id) WHERE status IN ('a', 'b');
CREATE VIEW shop.v AS SELECT id, status::text AS s, total::numeric(4,1) AS t FROM shop.orders WHERE status IN ('a', 'c') AND (total > 1 OR total < 5);
CREATE FUNCTION shop.f(a int DEFAULT 1) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  ALTER TABLE x
    OWNER TO nobody;
GRANT SELECT ON x TO nobody;
END $$;
ALTER FUNCTION shop.f(int) OWNER TO "we ird";
CREATE FUNCTION shop.trg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr BEFORE INSERT ON shop.orders FOR EACH ROW WHEN (NEW.status IN ('a', 'b')) EXECUTE FUNCTION shop.trg();
GRANT SELECT ON shop.orders TO reader WITH GRANT OPTION;
GRANT SELECT (id) ON shop.orders TO "Größe";
REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE owner1 IN SCHEMA shop GRANT SELECT ON TABLES TO "we ird";
ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON shop.orders FOR SELECT TO reader, "we ird" USING (status IN ('a', 'b'));
CREATE FOREIGN DATA WRAPPER wrapper;
ALTER FOREIGN DATA WRAPPER wrapper OWNER TO chief;
CREATE SERVER srv FOREIGN DATA WRAPPER wrapper;
CREATE USER MAPPING FOR "we ird" SERVER srv OPTIONS (password 'geheim''s');
CREATE FUNCTION public.evt() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER et ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.evt();
CREATE TABLE public.parent (a int, b text);
CREATE TABLE public.child (x int) INHERITS (public.parent);
ALTER TABLE public.parent ADD COLUMN added text DEFAULT 'd';
INSERT INTO public.child VALUES (1, 'b', 3, 'd'), (2, NULL, 4, E'a\\tb');
SELECT lo_from_bytea(90001, decode(repeat('5c2e0a', 50000), 'hex'));
ALTER LARGE OBJECT 90001 OWNER TO owner1;
GRANT SELECT ON LARGE OBJECT 90001 TO reader;
CREATE SEQUENCE shop.counter; SELECT setval('shop.counter', 42);
`;
let cluster: Cluster;
let dir: string;
let url: string;

beforeAll(async () => {
  cluster = await startCluster();
  dir = await mkdtemp(join(tmpdir(), 'cofre-survey-'));
  url = await cluster.createDatabase('shop');
  await cluster.psql('shop', ROLES);
  await cluster.psql('shop', SHOP);
});

afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  if (dir !== undefined) await rm(dir, { recursive: true });
});

async function run(program: string, ...args: string[]): Promise<void> {
  await execFileAsync(join(cluster.binDir, program), args);
}

async function dump(from: string, ...args: string[]): Promise<Buffer> {
  const file = join(dir, crypto.randomUUID());
  await run('pg_dump', '-f', file, ...args, '-d', from);
  return await readFile(file);
}

async function restored(bytes: Buffer | string, name: string): Promise<string> {
  const to = await cluster.createDatabase(name);
  const file = join(dir, crypto.randomUUID());
  await writeFile(file, bytes);
  await run('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', file, '-d', to);
  return to;
}

async function survey(
  bytes: Buffer | string,
  surveyor: DumpSurveyor = new PlainDumpSurveyor(() => true),
): Promise<DumpSurvey> {
  await using it = surveyor;
  const whole = Buffer.from(bytes);
  for (let at = 0; at < whole.length; at += 65_536) await it.write(whole.subarray(at, at + 65_536));
  await it.end();
  return it.survey();
}

function differing(a: DumpSurvey, b: DumpSurvey, digest: 'exact' | 'loose'): string[] {
  const keys = new Set([...a.sections.keys(), ...b.sections.keys()]);
  return [...keys].filter((key) => a.sections.get(key)?.[digest] !== b.sections.get(key)?.[digest]).sort();
}

describe('a dump, and the dump of what was restored from it', () => {
  let first: Buffer;
  let second: Buffer;

  beforeAll(async () => {
    first = await dump(url);
    second = await dump(await restored(first, 'again'));
  });

  test('differ in how PostgreSQL writes expressions, and loosely in nothing', async () => {
    const [a, b] = [await survey(first), await survey(second)];
    expect(a.contents.schema_sha256).not.toBe(b.contents.schema_sha256);
    expect(differing(a, b, 'exact')).toEqual([
      'DOMAIN public.dom',
      'INDEX shop.part',
      'POLICY shop.orders p',
      'TABLE shop.orders',
      'TRIGGER shop.orders tr',
      'VIEW shop.v',
    ]);
    expect(differing(a, b, 'loose')).toEqual([]);
  });

  test.each([
    ["'b'::character varying", "'B'::character varying", 'TABLE shop.orders', 'INDEX shop.part'],
    ['orders.total < ', 'orders.total <= ', 'VIEW shop.v'],
    ['    status character varying(10)', '    status_ character varying(10)', 'TABLE shop.orders'],
    ['    status character varying(10)', '    status character varying(11)', 'TABLE shop.orders'],
    ["'shop.counter', 42", "'shop.counter', 41", 'SEQUENCE SET shop.counter'],
    ['    OWNER TO nobody;', '    OWNER TO  nobody;', 'FUNCTION shop.f(integer)'],
    ['2e0a5c2e0a5c', '2e0a5c2e0a5d', 'BLOBS large objects'],
    ['OWNER TO "we ird"', 'OWNER TO reader', 'OWNER FUNCTION shop.f(integer)'],
    [
      'GRANT SELECT ON TABLE shop.orders TO reader',
      'GRANT SELECT ON TABLE shop.orders TO chief',
      'ACL TABLE shop.orders',
    ],
  ])('a change is named: %s to %s', async (from, to, ...keys) => {
    const text = second.toString();
    expect(text).toContain(from);
    const changed = await survey(text.replaceAll(from, to));
    const found = differing(await survey(first), changed, 'loose');
    for (const key of keys) expect(found).toContain(key);
    expect(found.every((key) => keys.includes(key) || /^(DOMAIN|POLICY|TRIGGER) /.test(key))).toBe(true);
  });

  test('have the same rows, in another order of columns too where a table inherits', async () => {
    const [a, b] = [await survey(first), await survey(second)];
    const at = a.contents.tables.findIndex(({ name }) => name === 'child');
    expect(a.contents.tables[at]?.sha256).not.toBe(b.contents.tables[at]?.sha256);
    expect(b.multisets).toEqual(a.multisets);
    const changed = await survey(first.toString().replace('\ta\\tb', '\ta\\tc'));
    expect(changed.multisets[at]).not.toBe(a.multisets[at]);
  });

  test('have the same rows in another order', async () => {
    const url2 = await restored(first, 'turned');
    await cluster.psql(
      'turned',
      'CREATE TABLE shop.turned AS SELECT * FROM shop.orders ORDER BY id DESC; TRUNCATE shop.orders; INSERT INTO shop.orders SELECT * FROM shop.turned; DROP TABLE shop.turned;',
    );
    const [a, b] = [await survey(first), await survey(await dump(url2))];
    const at = a.contents.tables.findIndex(({ name }) => name === 'orders');
    expect(b.contents.tables[at]?.sha256).not.toBe(a.contents.tables[at]?.sha256);
    expect(b.multisets[at]).toBe(a.multisets[at]);
  });

  test('without owners and privileges have the same sections but for those about roles', async () => {
    const a = await survey(first);
    const b = await survey(await dump(url, '--no-owner', '--no-privileges'));
    expect(differing(a, b, 'exact').every(isAboutRoles)).toBe(true);
    expect([...b.sections.keys()].some(isAboutRoles)).toBe(false);
    expect([...a.sections.keys()].filter(isAboutRoles).length).toBeGreaterThan(10);
  });
});

describe('what a dump says', () => {
  test('of its needs and versions', async () => {
    const found = await survey(await dump(url));
    expect(found.needs).toEqual({
      roles: ['Größe', 'chief', 'owner1', 'postgres', 'reader', 'we ird'],
      superusers: ['chief', 'postgres'],
      extensions: [],
      tablespaces: [],
    });
    const { stdout } = await execFileAsync(join(cluster.binDir, 'pg_dump'), ['--version']);
    expect(stdout.trim()).toBe(`pg_dump (PostgreSQL) ${found.tool_version}`);
    expect(found.server_version).toBe(await cluster.psql('shop', 'SHOW server_version'));
  });

  test('contents are those of the inspector, and nothing shows a password', async () => {
    const bytes = await dump(url);
    const found = await survey(bytes);
    await using inspector = new PlainDumpInspector();
    inspector.write(bytes);
    expect(found.contents).toEqual(await inspector.end());
    expect(bytes.toString()).toContain("geheim''s");
    expect(JSON.stringify({ ...found, sections: [...found.sections] })).not.toContain('geheim');
  });

  test('in the custom format is the same', async () => {
    const options = {
      pgRestore: join(cluster.binDir, 'pg_restore'),
      env: process.env,
      signal: new AbortController().signal,
    };
    const custom = await survey(
      await dump(url, '-Fc'),
      new ArchivedDumpSurveyor('custom', options, () => true),
    );
    expect(custom).toEqual(await survey(await dump(url)));
  });
});

test('a database full of oddities comes back the same', async () => {
  const odd = await cluster.createDatabase('odd');
  await cluster.psql('odd', ODD_DATABASE);
  const first = await dump(odd);
  const [a, b] = [await survey(first), await survey(await dump(await restored(first, 'odd_again')))];
  expect(differing(a, b, 'loose')).toEqual([]);
  expect(b.multisets).toEqual(a.multisets);
  expect(a.needs).toEqual({ roles: ['postgres'], superusers: [], extensions: [], tablespaces: [] });
  // The table whose name holds the text, on lines of its own, is real.
  const fakes = [...a.sections.keys()].filter((key) => key.includes('fake'));
  expect(fakes.filter((key) => !key.includes('two lines'))).toEqual([]);
});

test('globals of pg_dumpall pass, the same for two dumps of them', async () => {
  const globals = async () => {
    const file = join(dir, crypto.randomUUID());
    await run('pg_dumpall', '--globals-only', '--no-role-passwords', '-f', file, '-d', url);
    return await survey(await readFile(file));
  };
  const [a, b] = [await globals(), await globals()];
  expect(a.contents).toEqual({ tables: [], schema_sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
  expect(b).toEqual(a);
  expect(a.needs.roles).toEqual([]);
});
