import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BackupError } from '../../src/domain/errors.ts';
import type { DatabaseContents, TableContents } from '../../src/domain/manifest.ts';
import type { Inspector } from '../../src/domain/ports.ts';
import { CustomDumpInspector } from '../../src/inspect/custom-dump.ts';
import { PlainDumpInspector } from '../../src/inspect/plain-dump.ts';
import { type TestServer, usingCluster } from '../support/postgres.ts';
import { ODD_DATABASE } from '../support/odd-database.ts';
import { inspectByReference } from './reference-inspector.ts';

const execFileAsync = promisify(execFile);
const NOW = new AbortController().signal;
let server: TestServer;
let dir: string;
let oddUrl: string;

beforeAll(async () => {
  server = await usingCluster();
  dir = await mkdtemp(join(tmpdir(), 'cofre-dumps-'));
  oddUrl = await server.createDatabase('odd');
  await server.psql('odd', ODD_DATABASE);
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  if (dir !== undefined) await rm(dir, { recursive: true });
});

async function dump(url: string, ...args: string[]): Promise<Buffer> {
  const file = join(dir, `dump-${crypto.randomUUID()}`);
  await execFileAsync(join(server.binDir, 'pg_dump'), ['-f', file, ...args, '-d', url]);
  return await readFile(file);
}

async function inspect(inspector: Inspector, bytes: Buffer, chunkBytes = 65_536): Promise<DatabaseContents> {
  await using it = inspector;
  for (let at = 0; at < bytes.length; at += chunkBytes) await it.write(bytes.subarray(at, at + chunkBytes));
  return (await it.end()) as DatabaseContents;
}

function custom(): CustomDumpInspector {
  return new CustomDumpInspector({
    pgRestore: join(server.binDir, 'pg_restore'),
    env: process.env,
    signal: NOW,
  });
}

/** What the server itself says of every table: the digest of its COPY output and its number of rows. */
async function tablesByServer(database: string): Promise<Omit<TableContents, 'rows'>[]> {
  const listed = await server.psql(
    database,
    `SELECT json_agg(json_build_object('schema', n.nspname, 'name', c.relname, 'sql',
       format('COPY %I.%I %s TO STDOUT;', n.nspname, c.relname,
         (SELECT '(' || string_agg(quote_ident(attname), ', ' ORDER BY attnum) || ')' FROM pg_attribute
           WHERE attrelid = c.oid AND attnum > 0 AND attgenerated = '' AND NOT attisdropped))))
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND n.nspname !~ '^(pg_|information_schema)';`,
  );
  const tables = JSON.parse(listed) as { schema: string; name: string; sql: string }[];
  const contents: Omit<TableContents, 'rows'>[] = [];
  for (const { schema, name, sql } of tables) {
    const printed = await server.psql(database, sql);
    const hasRows = printed !== '' || name === 'no_columns';
    const data = hasRows ? `${printed}\n` : '';
    contents.push({ schema, name, bytes: Buffer.byteLength(data), sha256: sha256(data) });
  }
  return contents;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

interface Named {
  schema: string;
  name: string;
}

function byName(a: Named, b: Named): number {
  return `${a.schema}.${a.name}` < `${b.schema}.${b.name}` ? -1 : 1;
}

describe('a plain dump of a database full of oddities', () => {
  test('has every table, each with the digest of what the server copies out', async () => {
    const { tables } = await inspect(new PlainDumpInspector(), await dump(oddUrl));
    const found = tables.map(({ rows: _rows, ...rest }) => rest);
    expect(found.sort(byName)).toEqual((await tablesByServer('odd')).sort(byName));
  });

  test('has the number of rows of every table', async () => {
    const { tables } = await inspect(new PlainDumpInspector(), await dump(oddUrl));
    for (const { schema, name, rows } of tables) {
      const quoted = [schema, name].map((part) => `"${part.replaceAll('"', '""')}"`).join('.');
      const counted = await server.psql('odd', `SELECT count(*) FROM ${quoted};`);
      expect({ name, rows }).toEqual({ name, rows: Number(counted) });
    }
    expect(tables.length).toBeGreaterThan(10);
  });

  test('is the same whatever the chunks, and for a simple reference', async () => {
    const bytes = await dump(oddUrl);
    const expected = inspectByReference(bytes);
    for (const chunkBytes of [1, 7, 4_096, bytes.length]) {
      expect(await inspect(new PlainDumpInspector(), bytes, chunkBytes)).toEqual(expected);
    }
  });

  test('is the same for two dumps of the same data', async () => {
    const [first, second] = [await dump(oddUrl), await dump(oddUrl)];
    expect(await inspect(new PlainDumpInspector(), first)).toEqual(
      await inspect(new PlainDumpInspector(), second),
    );
  });

  test('is read alike where strings have no standard conformance', async () => {
    await server.psql(
      'odd',
      `SELECT 'ALTER DATABASE ' || quote_ident(current_database()) ||
      ' SET standard_conforming_strings = off' \\gexec`,
    );
    const bytes = await dump(oddUrl);
    await server.psql(
      'odd',
      `SELECT 'ALTER DATABASE ' || quote_ident(current_database()) ||
      ' RESET standard_conforming_strings' \\gexec`,
    );
    expect(bytes.toString()).toContain('SET standard_conforming_strings = off');
    const { tables } = await inspect(new PlainDumpInspector(), bytes);
    expect(tables).toEqual((await inspect(new PlainDumpInspector(), await dump(oddUrl))).tables);
  });

  test('without data has no tables, and one without schema has them all', async () => {
    const plain = async (...args: string[]) =>
      await inspect(new PlainDumpInspector(), await dump(oddUrl, ...args));
    expect((await plain('--schema-only')).tables).toEqual([]);
    expect((await plain('--data-only')).tables.sort(byName)).toEqual((await plain()).tables.sort(byName));
  });
});

describe('a custom dump', () => {
  test('has the same tables as a plain one', async () => {
    const plain = await inspect(new PlainDumpInspector(), await dump(oddUrl));
    for (const chunkBytes of [999, 1 << 20]) {
      const contents = await inspect(custom(), await dump(oddUrl, '-Fc', '-Z1'), chunkBytes);
      expect(contents.tables).toEqual(plain.tables);
    }
  });

  test('is the same for two dumps of the same data, compressed or not', async () => {
    const [first, second] = [await dump(oddUrl, '-Fc'), await dump(oddUrl, '-Fc', '-Z0')];
    expect(await inspect(custom(), first)).toEqual(await inspect(custom(), second));
  });

  test('trap: truncated dumps counted as success for months (custom format)', async () => {
    const bytes = await dump(oddUrl, '-Fc');
    const cuts = [1, 5, 100, 3_000, bytes.length >> 1, bytes.length - 1_000, bytes.length - 1];
    for (const length of cuts) {
      const failed = inspect(custom(), bytes.subarray(0, length));
      await expect(failed, `cut at ${length}`).rejects.toMatchObject({ code: 'ARCHIVE_CORRUPT' });
    }
  });

  test('with a damaged data block is corrupt, and says what pg_restore says', async () => {
    const bytes = await dump(oddUrl, '-Fc');
    bytes.fill(0xff, bytes.length - 3_000, bytes.length - 2_900);
    const error = await inspect(custom(), bytes).catch((thrown: unknown) => thrown as BackupError);
    expect(error).toMatchObject({
      code: 'ARCHIVE_CORRUPT',
      message: expect.stringMatching(/pg_restore: error: /),
    });
  });

  test('a plain dump taken for one is corrupt', async () => {
    await expect(inspect(custom(), await dump(oddUrl))).rejects.toMatchObject({ code: 'ARCHIVE_CORRUPT' });
  });
});

describe('standard programs compute the same (docs/format.md)', () => {
  const TABLE_ROWS = String.raw`!data && /^COPY .* FROM stdin;$/ {data = 1; on = ($2 == table); next} data && /^\\\.$/ {data = on = 0; next} on`;
  const SCHEMA_LINES = String.raw`!data && /^(-- Dumped (from database|by pg_dump) version |\\(un)?restrict )/ {next} !data {print} !data && /^COPY .* FROM stdin;$/ {data = 1} data && /^\\\.$/ {print; data = 0}`;

  async function awk(program: string, file: string, table = ''): Promise<string> {
    const command = 'LC_ALL=C awk -v table="$1" "$2" "$3" | sha256sum';
    const { stdout } = await execFileAsync('sh', ['-c', command, 'sh', table, program, file]);
    return stdout.slice(0, 64);
  }

  test('awk and sha256sum give the digests of tables and schema', async () => {
    const url = await server.createDatabase('shop');
    await server.psql(
      'shop',
      `CREATE SCHEMA shop;
       CREATE TABLE shop.orders (id int PRIMARY KEY, note text, total numeric);
       CREATE TABLE shop.items (id int REFERENCES shop.orders, name text);
       CREATE TABLE shop.empty (id int);
       CREATE FUNCTION shop.f() RETURNS int LANGUAGE sql AS $$ SELECT 1; $$;
       CREATE VIEW shop.totals AS SELECT sum(total) FROM shop.orders;
       INSERT INTO shop.orders SELECT n, CASE n % 3 WHEN 0 THEN E'\\\\.' WHEN 1 THEN 'é' END, n FROM generate_series(1, 500) n;
       INSERT INTO shop.items SELECT n, 'COPY shop.orders (id, note, total) FROM stdin;' FROM generate_series(1, 50) n;
       CREATE TABLE shop.lines (line text);
       INSERT INTO shop.lines SELECT name FROM shop.items;`,
    );
    const bytes = await dump(url);
    const file = join(dir, 'shop.sql');
    await writeFile(file, bytes);
    const { tables, schema_sha256 } = await inspect(new PlainDumpInspector(), bytes);
    expect(tables.map(({ name }) => name).sort()).toEqual(['empty', 'items', 'lines', 'orders']);
    for (const { schema, name, sha256 } of tables) {
      const computed = await awk(TABLE_ROWS, file, `${schema}.${name}`);
      expect({ name, sha256: computed }).toEqual({ name, sha256 });
    }
    expect(await awk(SCHEMA_LINES, file)).toBe(schema_sha256);
  });
});
