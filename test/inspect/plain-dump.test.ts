import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BackupError, type ErrorCode } from '../../src/domain/errors.ts';
import type { DatabaseContents } from '../../src/domain/manifest.ts';
import { PlainDumpInspector } from '../../src/inspect/plain-dump.ts';
import { inspectByReference } from './reference-inspector.ts';

const END = '--\n-- PostgreSQL database dump complete\n--\n\n';

async function inspect(chunks: readonly (Buffer | string)[]): Promise<DatabaseContents | ErrorCode> {
  await using inspector = new PlainDumpInspector();
  for (const chunk of chunks) inspector.write(Buffer.from(chunk));
  try {
    return await inspector.end();
  } catch (error) {
    if (error instanceof BackupError) return error.code;
    throw error;
  }
}

async function tablesOf(dump: string): Promise<string[]> {
  const contents = await inspect([dump + END]);
  if (typeof contents === 'string') throw new Error(contents);
  return contents.tables.map(({ schema, name, rows, bytes }) => `${schema}|${name}|${rows}|${bytes}`);
}

async function schemaOf(dump: string): Promise<string> {
  const contents = await inspect([dump]);
  return typeof contents === 'string' ? contents : contents.schema_sha256;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

describe('the digests', () => {
  test('a table is digested over its data lines, the schema over all others', async () => {
    const dump =
      '--\n-- PostgreSQL database dump\n--\n\n\\restrict abc\n\n-- Dumped from database version 15.18\n' +
      '-- Dumped by pg_dump version 15.18\n\nSET x = 1;\n\nCOPY public.t (a, b) FROM stdin;\n1\tx\n2\t\\N\n\\.\n\n\n' +
      `${END}\\unrestrict abc\n\n`;
    expect(await inspect([dump])).toEqual({
      tables: [{ schema: 'public', name: 't', rows: 2, bytes: 9, sha256: sha256('1\tx\n2\t\\N\n') }],
      schema_sha256: sha256(
        '--\n-- PostgreSQL database dump\n--\n\n\n\nSET x = 1;\n\n' +
          `COPY public.t (a, b) FROM stdin;\n\\.\n\n\n${END}\n`,
      ),
    });
  });

  test('lines naming versions and keys count where they are part of a function or a string', async () => {
    const body = (line: string) => `CREATE FUNCTION f() AS $$\n${line}\n$$;\n${END}`;
    const comment = (line: string) => `COMMENT ON TABLE t IS 'a\n${line}\n';\n${END}`;
    for (const line of ['-- Dumped from database version ', '\\restrict ', '\\unrestrict ']) {
      for (const within of [body, comment]) {
        expect(await schemaOf(within(`${line}1`))).toBe(sha256(within(`${line}1`)));
      }
    }
  });

  test('two blocks for one table are both kept, in their order', async () => {
    const block = (row: string) => `COPY public.t (a) FROM stdin;\n${row}\n\\.\n`;
    expect(await tablesOf(block('1') + block('22'))).toEqual(['public|t|1|2', 'public|t|1|3']);
  });
});

describe('what is a COPY block', () => {
  test.each([
    ['COPY public.t (a) FROM stdin;', 'public|t'],
    ['COPY public.none  FROM stdin;', 'public|none'],
    ['COPY public.copy (copy, "from") FROM stdin;', 'public|copy'],
    ['COPY public."COPY" (a) FROM stdin;', 'public|COPY'],
    ['COPY "We""ird"."a.b (c) FROM stdin;" (a) FROM stdin;', 'We"ird|a.b (c) FROM stdin;'],
    ['COPY public."two\nlines" ("x\ny") FROM stdin;', 'public|two\nlines'],
    ['COPY "Größe".данные (ключ) FROM stdin;', 'Größe|данные'],
    ['COPY old_style (a) FROM stdin;', '|old_style'],
  ])('%s', async (header, expected) => {
    expect(await tablesOf(`${header}\n1\n\\.\n`)).toEqual([`${expected}|1|2`]);
  });

  test('names that are not UTF-8 are read as Latin-1', async () => {
    const contents = await inspect([
      Buffer.from(`COPY public."Größe" (a) FROM stdin;\n\\.\n${END}`, 'latin1'),
    ]);
    expect(contents).toMatchObject({ tables: [{ name: 'Größe' }] });
  });

  const header = 'COPY public.fake (a) FROM stdin;';
  test.each([
    ['in a dollar-quoted body', `CREATE FUNCTION f() AS $_$\n${header}\n$$ $x$\n${header}\n$_$;\n`],
    ['in a string', `COMMENT ON TABLE t IS 'it''s\n${header}\n';\n`],
    ['in an escape string', `COMMENT ON TABLE t IS E'\\'\n${header}\n''\\\\';\n`],
    ['in a quoted identifier', `CREATE TABLE "a""\n${header}\n" ();\n`],
    ['in a block comment', `/* /* ' */\n${header}\n " */\n`],
    ['in a line comment', `-- ${header}\n`],
    ['in a view', `CREATE VIEW v AS\n SELECT 1 AS\n${header}\n`],
    ['behind another statement', `SELECT 1; ${header}\n`],
    ['with more behind it', `${header} SELECT 1;\n`],
    ['to a file', "COPY public.fake (a) FROM '/tmp/x';\n"],
  ])('not a header: %s', async (_where, sql) => {
    const dump = `${sql}COPY public.real (a) FROM stdin;\n1\n\\.\n`;
    expect(await tablesOf(dump)).toEqual(['public|real|1|2']);
    expect(await schemaOf(dump + END)).toBe(sha256(dump.replace('1\n\\.\n', '\\.\n') + END));
  });

  test('a word that ends in E does not make an escape string', async () => {
    expect(await tablesOf(`SELECT DATE'\\', e.x, e '\\';\n${header}\n\\.\n`)).toEqual(['public|fake|0|0']);
  });

  test('a dollar within a word and a parameter do not start a dollar quote', async () => {
    expect(await tablesOf(`SELECT a$b$, $1, 1$x$, $1$;\n${header}\n\\.\n`)).toEqual(['public|fake|0|0']);
  });

  test('only a line of exactly backslash and dot ends the data', async () => {
    const rows = [
      '\\.x',
      '\\..',
      'a\\.',
      ' \\.',
      '\\',
      '.',
      '\\\\.',
      '',
      '\\.\r',
      header,
      "it's",
      '/*',
      '-- x',
      '$$',
    ];
    const data = rows.map((row) => `${row}\n`).join('');
    expect(await inspect([`${header}\n${data}\\.\n${END}`])).toEqual({
      tables: [
        { schema: 'public', name: 'fake', rows: rows.length, bytes: data.length, sha256: sha256(data) },
      ],
      schema_sha256: sha256(`${header}\n\\.\n${END}`),
    });
  });
});

describe('a dump that is not whole', () => {
  test('an empty dump is a failure', async () => {
    expect(await inspect([])).toBe('DUMP_EMPTY');
    expect(await inspect([''])).toBe('DUMP_EMPTY');
  });

  test('trap: truncated dumps counted as success for months (every cut is noticed)', async () => {
    const dump = `SET x = 'a';\nCOPY public.t (a) FROM stdin;\n1\n2\n\\.\nSELECT 1;\n${END}\\unrestrict k\n\n`;
    // Behind the completion line a cut between lines leaves nothing out that matters.
    const complete = dump.indexOf('complete\n') + 'complete\n'.length;
    for (let length = 1; length < complete; length += 1) {
      expect(await inspect([dump.slice(0, length)]), `cut at ${length}`).toBe('DUMP_TRUNCATED');
    }
    for (let length = complete; length <= dump.length; length += 1) {
      const isWholeLine = dump[length - 1] === '\n';
      expect(typeof (await inspect([dump.slice(0, length)])), `cut at ${length}`).toBe(
        isWholeLine ? 'object' : 'string',
      );
    }
  });

  test('it says where the dump ends', async () => {
    const inspector = new PlainDumpInspector();
    inspector.write(Buffer.from('COPY public.orders (a) FROM stdin;\n1\n'));
    await expect(inspector.end()).rejects.toThrow('within the data of table public.orders');
  });

  test.each([
    ['a completion line in a string', `SELECT '\n${END}';\n`],
    ['a completion line in the data', `COPY a.b (c) FROM stdin;\n${END}\\.\n`],
    ['a completion line with something behind it', END.replace('complete', 'complete.')],
    ['a statement after it', `${END}SELECT 1;\n`],
    ['a table after it', `${END}COPY a.b (c) FROM stdin;\n\\.\n`],
    ['a comment after it', `${END}-- x\n`],
    ['a second dump after it', END + END],
    ['zero bytes after it', `${END}\0\0\0`],
  ])('not complete: %s', async (_what, dump) => {
    expect(await inspect([dump])).toBe('DUMP_TRUNCATED');
  });
});

describe('chunks', () => {
  const row = fc.oneof(
    fc.constantFrom(
      '\\.x',
      '\\\\.',
      'a\\.',
      '',
      '\\N',
      '\\',
      '.',
      'COPY a.b (c) FROM stdin;',
      END.trim(),
      "'",
      '$$',
    ),
    fc.string({ unit: fc.constantFrom('\\', '.', 'a', '\t', 'é') }).filter((text) => text !== '\\.'),
  );
  const block = fc
    .record({
      header: fc.constantFrom('a.b (c)', '"A""\n;"."x y" (c, "d, e")', 'public.none ', 'public.copy (ключ)'),
      rows: fc.array(row, { maxLength: 6 }),
    })
    .map(
      ({ header, rows }) => `COPY ${header} FROM stdin;\n${rows.map((text) => `${text}\n`).join('')}\\.\n`,
    );
  const noise = fc.string({
    unit: fc.constantFrom("'", '"', '$', '-', '/', '*', '\\', '\n', 'e', 'E', 'a', '1', ';'),
  });
  const without =
    (...texts: string[]) =>
    (text: string) =>
      texts.every((other) => !text.includes(other));
  const sql = fc.oneof(
    noise.map((text) => `SELECT '${text.replaceAll("'", "''")}';\n`),
    noise.map((text) => `SELECT E'${text.replaceAll(/['\\]/g, '\\$&')}';\n`),
    noise.map((text) => `SELECT 1 AS "${text.replaceAll('"', '""')}";\n`),
    noise.filter(without('$')).map((text) => `DO $x$${text}$$\nCOPY a.b (c) FROM stdin;\n$y$ $$x$;\n`),
    noise.filter(without('/', '*')).map((text) => `/* ${text} /* ${text} */ * / */\n`),
    noise.filter(without('\n')).map((text) => `-- ${text}\n`),
    fc.constantFrom(
      '\n',
      '\\restrict k\n',
      '\\connect x\n',
      '-- Dumped from database version 1\n',
      'SELECT a-b/c*d;\n',
      "SELECT $1, a$x$, DATE'\\', $e'\\'', e '\\';\n",
      'SELECT (1;\n',
      "BEGIN;\n  SELECT 'x'; -- ;'\nEND;\n",
    ),
  );
  const dump = fc
    .record({ units: fc.array(fc.oneof(block, sql), { maxLength: 12 }), isWhole: fc.boolean() })
    .map(({ units, isWhole }) => Buffer.from(units.join('') + (isWhole ? `${END}\\unrestrict k\n\n` : '')));
  const cuts = fc.array(fc.nat({ max: 2_000 }), { maxLength: 30 });

  function split(bytes: Buffer, at: readonly number[]): Buffer[] {
    const edges = [0, ...at.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
    return edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge));
  }

  test('any splitting of a dump gives what a simple reference computes', async () => {
    await fc.assert(
      fc.asyncProperty(dump, cuts, async (bytes, at) => {
        const expected = inspectByReference(bytes);
        expect(await inspect([bytes])).toEqual(expected);
        expect(await inspect(split(bytes, at))).toEqual(expected);
      }),
      { numRuns: 1_000 },
    );
  });

  test('rows are counted wherever they begin in a chunk', async () => {
    const data = fc.string({
      unit: fc.constantFrom('\n', 'a', '\x7f', '\x8a', '\xff', '\x0b'),
      maxLength: 300,
    });
    await fc.assert(
      fc.asyncProperty(data, cuts, async (rows, at) => {
        const bytes = Buffer.from(`COPY a.b (c) FROM stdin;\n${rows}\n\\.\n${END}`, 'latin1');
        expect(await inspect(split(bytes, at))).toEqual(inspectByReference(bytes));
      }),
      { numRuns: 500 },
    );
  });

  test('a byte at a time', async () => {
    await fc.assert(
      fc.asyncProperty(dump, async (bytes) => {
        expect(await inspect([...bytes].map((byte) => Buffer.of(byte)))).toEqual(inspectByReference(bytes));
      }),
      { numRuns: 300 },
    );
  });

  test('arbitrary bytes are judged as by the reference, whatever the splitting', async () => {
    const piece = fc.constantFrom(
      "'",
      '"',
      '$',
      '$$',
      '$a$',
      '--',
      '-',
      '/*',
      '*/',
      '/',
      '*',
      '\\',
      '\\.\n',
      '\n',
      'e',
      "E'",
      ';',
      'a',
      '1',
      ' ',
      'é',
      '\0',
      'COPY a.b (c) FROM stdin;\n',
      'COPY ',
      '\\unrestrict x\n',
      END,
    );
    const text = fc.array(piece, { maxLength: 40 }).map((pieces) => Buffer.from(pieces.join('')));
    await fc.assert(
      fc.asyncProperty(text, fc.boolean(), cuts, async (start, isEnded, at) => {
        const bytes = isEnded ? Buffer.concat([start, Buffer.from(`\n${END}`)]) : start;
        expect(await inspect(split(bytes, at))).toEqual(inspectByReference(bytes));
      }),
      { numRuns: 3_000 },
    );
  });

  test('a chunk may be overwritten once write has returned', async () => {
    const bytes = Buffer.from(`SELECT 1;\nCOPY "a\nb".c (d) FROM stdin;\n1\n\\.x\n\\.\n${END}`);
    const reused = Buffer.alloc(5);
    const inspector = new PlainDumpInspector();
    for (let at = 0; at < bytes.length; at += reused.length) {
      const size = bytes.copy(reused, 0, at, at + reused.length);
      inspector.write(reused.subarray(0, size));
    }
    expect(await inspector.end()).toEqual(inspectByReference(bytes));
  });
});

describe('memory', () => {
  const MEBIBYTE = Buffer.alloc(1 << 20, 'x');
  const PIECES = 96;

  test.each([
    ['a row', 'COPY public.t (a) FROM stdin;\n', '\n\\.\n', [PIECES * MEBIBYTE.length + 1]],
    ['a large object', "SELECT pg_catalog.lowrite(0, '\\x", "');\n", []],
    ['a function', 'CREATE FUNCTION f() AS $_$', '$_$;\n', []],
    ['a statement that only begins like a COPY', 'COPY ', ';\n', []],
  ])('is constant for %s of 96 MiB', async (_what, before, after, bytesOfTables) => {
    const inspector = new PlainDumpInspector();
    inspector.write(Buffer.from(before));
    const start = process.memoryUsage().arrayBuffers;
    let peak = 0;
    for (let piece = 0; piece < PIECES; piece += 1) {
      inspector.write(MEBIBYTE);
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - start);
    }
    inspector.write(Buffer.from(after + END));
    const { tables } = await inspector.end();
    expect(peak).toBeLessThan(24 << 20);
    expect(tables.map(({ bytes }) => bytes)).toEqual(bytesOfTables);
  });
});
