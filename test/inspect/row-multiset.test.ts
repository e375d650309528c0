import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RowMultiset } from '../../src/inspect/row-multiset.ts';

const LONG = 'x'.repeat((1 << 20) + 10);

function digest(rows: readonly string[], columns: readonly string[] = ['a'], chunkBytes = Infinity): string {
  const multiset = new RowMultiset(columns);
  const bytes = Buffer.from(rows.map((row) => `${row}\n`).join(''));
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const chunk = Buffer.from(bytes.subarray(at, at + chunkBytes));
    multiset.add(chunk);
    chunk.fill('#');
  }
  return multiset.digest();
}

/** The same, in big numbers. */
function byReference(rows: readonly string[]): string {
  const lanes = Array.from({ length: 8 }, () => 0n);
  for (const row of rows) {
    const hex = createHash('sha256').update(`${row}\n`).digest('hex');
    for (let lane = 0; lane < 8; lane += 1) {
      lanes[lane] = ((lanes[lane] ?? 0n) + BigInt(`0x${hex.slice(lane * 8, lane * 8 + 8)}`)) % 2n ** 32n;
    }
  }
  return lanes.map((lane) => lane.toString(16).padStart(8, '0')).join('');
}

const row = fc.string({ unit: fc.constantFrom('a', 'b', '\t', '\\', '.', 'é'), maxLength: 12 });

describe('rows', () => {
  test('are summed up: what a simple reference computes, whatever their order and the chunks', () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 30 }), fc.integer({ min: 1, max: 9 }), (rows, chunkBytes) => {
        const expected = byReference(rows);
        expect(digest(rows)).toBe(expected);
        expect(digest(rows.toReversed(), ['a'], chunkBytes)).toBe(expected);
      }),
      { numRuns: 300 },
    );
  });

  test('a digest of one row is its SHA-256', () => {
    expect(digest(['a\tb'])).toBe(createHash('sha256').update('a\tb\n').digest('hex'));
  });

  test('that are there twice count twice', () => {
    const digests = [[], ['a', 'a'], ['b', 'b'], ['a'], ['a', 'a', 'a']].map((rows) => digest(rows));
    expect(new Set(digests).size).toBe(5);
  });

  test('of no columns count', () => {
    expect(digest(['', ''], [])).not.toBe(digest(['', '', ''], []));
    expect(digest(['', ''], [])).toBe(byReference(['', '']));
  });
});

describe('columns', () => {
  const rows = (fields: readonly (readonly string[])[], order: readonly number[]) =>
    fields.map((values) => order.map((at) => values[at] ?? '').join('\t'));
  const VALUES = [
    ['1', 'x', '\\N'],
    ['2', '', 'é'],
  ];

  test('in another order are the same rows', () => {
    const expected = digest(rows(VALUES, [0, 1, 2]), ['a', 'b', 'c']);
    expect(expected).toBe(byReference(rows(VALUES, [0, 1, 2])));
    expect(digest(rows(VALUES, [2, 0, 1]), ['c', 'a', 'b'])).toBe(expected);
    expect(digest(rows(VALUES, [1, 0, 2]), ['b', 'a', 'c'], 1)).toBe(expected);
  });

  test('are told apart by their names', () => {
    expect(digest(rows(VALUES, [1, 0, 2]), ['a', 'b', 'c'])).not.toBe(
      digest(rows(VALUES, [0, 1, 2]), ['a', 'b', 'c']),
    );
  });

  test('a row with another number of fields is taken as it is', () => {
    expect(digest(['1\t2\t3'], ['b', 'a'])).toBe(byReference(['1\t2\t3']));
  });
});

describe('a row longer than is kept', () => {
  test('is the same whatever the chunks and the order of columns', () => {
    const expected = digest([`1\t${LONG}\tz`, '2\ts\t'], ['a', 'b', 'c']);
    for (const chunkBytes of [1_000, 65_536, (1 << 20) + 5, (1 << 20) + 13]) {
      expect(digest([`1\t${LONG}\tz`, '2\ts\t'], ['a', 'b', 'c'], chunkBytes)).toBe(expected);
      expect(digest(['\t2\ts', `z\t1\t${LONG}`], ['c', 'a', 'b'], chunkBytes)).toBe(expected);
    }
  });

  test('counts with every byte and every field', () => {
    const digests = [`1\t${LONG}`, `2\t${LONG}`, `1\t${LONG}y`, `1${LONG}\t`, `1\t${LONG}\t`].map((text) =>
      digest([text], ['a', 'b']),
    );
    expect(new Set(digests).size).toBe(5);
  });

  test('takes constant memory', () => {
    const multiset = new RowMultiset(['b', 'a']);
    const piece = Buffer.alloc(1 << 20, 'x');
    multiset.add(Buffer.from('1\t'));
    const start = process.memoryUsage().arrayBuffers;
    let peak = 0;
    for (let count = 0; count < 64; count += 1) {
      multiset.add(piece);
      peak = Math.max(peak, process.memoryUsage().arrayBuffers - start);
    }
    expect(peak).toBeLessThan(16 << 20);
  });
});
