import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { END_OF_DATA } from '../../../src/formats/dump/copy-data.ts';
import {
  type PlainDumpHandler,
  PlainDumpReader,
  type UnitInfo,
} from '../../../src/formats/dump/plain-dump-reader.ts';

const END = '--\n-- PostgreSQL database dump complete\n--\n\n';
const CLUSTER_END = '--\n-- PostgreSQL database cluster dump complete\n--\n\n';

/** Notes what a reader hands out, in words, each unit and each block of rows once. */
class Recorder implements PlainDumpHandler {
  readonly events: string[] = [];
  readonly bytes: Buffer[] = [];
  readonly firstPieces: { bytes: number; isWhole: boolean }[] = [];
  #text = '';

  unit(piece: Buffer, { kind, isStart, isEnd }: UnitInfo): void {
    this.bytes.push(Buffer.from(piece));
    if (isStart) this.firstPieces.push({ bytes: piece.length, isWhole: isEnd });
    if (isStart !== (this.#text === '')) throw new Error(`isStart is wrong at ${piece.toString()}`);
    this.#text += piece.toString('latin1');
    if (!isEnd) return;
    this.events.push(`${kind} ${this.#text}`);
    this.#text = '';
  }

  copyStart({ schema, name }: { schema: string; name: string }): void {
    this.events.push(`start ${schema}.${name}`);
  }

  rows(piece: Buffer): void {
    if (piece.length === 0) throw new Error('an empty piece');
    this.bytes.push(Buffer.from(piece));
    this.#text += piece.toString('latin1');
  }

  copyEnd(): void {
    this.bytes.push(END_OF_DATA);
    this.events.push(`rows ${this.#text}`, 'end');
    this.#text = '';
  }
}

function read(chunks: readonly Buffer[]): Recorder {
  const recorder = new Recorder();
  const reader = new PlainDumpReader(recorder);
  for (const chunk of chunks) {
    // What a stream does that reads into the same memory again.
    const reused = Buffer.from(chunk);
    reader.write(reused);
    reused.fill('#');
  }
  reader.end();
  return recorder;
}

function eventsOf(dump: string): string[] {
  return read([Buffer.from(dump)]).events;
}

describe('units', () => {
  test.each([
    ['volatile', '-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)\n'],
    ['volatile', '-- Dumped by pg_dump version 15.18\n'],
    ['volatile', '\\restrict abc\n'],
    ['volatile', '\\unrestrict abc\n'],
    ['comment', '--\n'],
    ['comment', '-- Name: a; Type: TABLE; Schema: public; Owner: me\n'],
    ['comment', '-- Dumped from somewhere else\n'],
    ['blank', '\n'],
    ['meta', '\\connect "a b"\n'],
    ['statement', 'SET x = 1;\n'],
    ['statement', ' \n'],
    ['statement', '/* x */\n'],
    ['statement', 'CREATE FUNCTION f() AS $$\n-- x\n\\restrict y\n\nCOPY a.b (c) FROM stdin;\n$$;\n'],
    ['statement', "COPY a.b (c) FROM '/tmp/x';\n"],
    ['statement', `COPY ${'a'.repeat(100)};\n`],
  ])('%s: %j', (kind, unit) => {
    expect(eventsOf(unit + END)[0]).toBe(`${kind} ${unit}`);
  });

  test('a COPY block is its header, its table, its rows and its end', () => {
    expect(eventsOf(`COPY a."B c" (d) FROM stdin;\n1\n\\.x\n\\.\n${END}`).slice(0, 5)).toEqual([
      'copy COPY a."B c" (d) FROM stdin;\n',
      'start a.B c',
      'rows 1\n\\.x\n',
      'end',
      'comment --\n',
    ]);
  });

  test('a table without rows has no pieces of rows', () => {
    expect(eventsOf(`COPY a.b (d) FROM stdin;\n\\.\n${END}`).slice(1, 4)).toEqual([
      'start a.b',
      'rows ',
      'end',
    ]);
  });

  test('behind the completion line nothing is a COPY block', () => {
    const recorder = new Recorder();
    const reader = new PlainDumpReader(recorder);
    reader.write(Buffer.from(`${END}COPY a.b (c) FROM stdin;\n`));
    expect(recorder.events.at(-1)).toBe('statement COPY a.b (c) FROM stdin;\n');
    expect(() => {
      reader.end();
    }).toThrow('something follows the completion line');
  });
});

describe('the end', () => {
  test.each([
    ['a database', END],
    ['a cluster', CLUSTER_END],
    ['a key behind it', `${END}\\unrestrict abc\n\n`],
    ['a key before it', `\\unrestrict abc\n\n${CLUSTER_END}`],
  ])('of %s completes a dump', (_what, end) => {
    expect(eventsOf(`SELECT 1;\n${end}`)[0]).toBe('statement SELECT 1;\n');
  });

  test.each([
    ['is missing', 'SELECT 1;\n', 'no completion line'],
    ['is within a statement', `SELECT '${CLUSTER_END}';\n`, 'no completion line'],
    ['is that of something else', END.replace('dump', 'heap'), 'no completion line'],
    ['is cut', END.slice(0, -8), 'within a line'],
    ['is within a table', `COPY a.b (c) FROM stdin;\n${END}`, 'within the data of table a.b'],
    ['is followed by another dump', END + CLUSTER_END, 'something follows'],
  ])('%s', (_what, dump, message) => {
    expect(() => eventsOf(dump)).toThrow(message);
  });
});

describe('pieces', () => {
  const LONG = 'x'.repeat(300);
  const SAMPLE = Buffer.from(
    `--\n-- PostgreSQL database dump\n--\n\n\\restrict ${LONG}\n\n-- Dumped from database version 15.18\nSET x = 1;\n\n` +
      `CREATE FUNCTION f() AS $$\n${LONG}\n\\.\n$$;\nCOPY a."é\n;" (b, "c d") FROM stdin;\n1\t\\.\n\\\\.\n\\.\\.\n\\.\n\n` +
      `COPY a.none  FROM stdin;\n\n\n\\.\n\\connect x\n${END}\\unrestrict ${LONG}\n\n`,
  );

  test('are the same units wherever the dump is cut in two', () => {
    const expected = read([SAMPLE]).events;
    for (let at = 1; at < SAMPLE.length; at += 1) {
      const { events, bytes } = read([SAMPLE.subarray(0, at), SAMPLE.subarray(at)]);
      expect(events, `cut at ${at}`).toEqual(expected);
      expect(Buffer.concat(bytes).equals(SAMPLE), `cut at ${at}`).toBe(true);
    }
  });

  test('make the dump again, byte by byte, whatever the chunks', () => {
    const expected = read([SAMPLE]).events;
    const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(sizes, (lengths) => {
        const chunks: Buffer[] = [];
        let at = 0;
        for (let turn = 0; at < SAMPLE.length; turn += 1) {
          const end = at + (lengths[turn % lengths.length] ?? 1);
          chunks.push(SAMPLE.subarray(at, end));
          at = end;
        }
        const { events, bytes, firstPieces } = read(chunks);
        expect(events).toEqual(expected);
        expect(Buffer.concat(bytes).equals(SAMPLE)).toBe(true);
        expect(firstPieces.filter((piece) => piece.bytes < 45 && !piece.isWhole)).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test('the header of a COPY block comes as one, also where it is long', () => {
    const header = `COPY a.b (${Array.from({ length: 1_600 }, (_, at) => `"column ${at}"`).join(', ')}) FROM stdin;\n`;
    const bytes = Buffer.from(`${header}\\.\n${END}`);
    const chunks = Array.from({ length: Math.ceil(bytes.length / 100) }, (_, at) =>
      bytes.subarray(at * 100, at * 100 + 100),
    );
    const { events, firstPieces } = read(chunks);
    expect(events[0]).toBe(`copy ${header}`);
    expect(firstPieces[0]).toEqual({ bytes: header.length, isWhole: true });
  });
});
