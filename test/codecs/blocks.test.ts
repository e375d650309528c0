import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { blocksOf } from '../../src/codecs/blocks.ts';
import { reusing } from '../support/reusing.ts';

async function* streamOf(chunks: readonly Buffer[]): AsyncGenerator<Buffer, void, undefined> {
  yield* chunks;
}

test('the same bytes in blocks of one size, or growing to it, however they were cut', async () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 });
  const sizes = fc.integer({ min: 1, max: 30 });
  const counts = fc.integer({ min: 1, max: 5 });
  const firsts = fc.option(fc.integer({ min: 1, max: 30 }), { nil: undefined });
  await fc.assert(
    fc.asyncProperty(chunks, sizes, counts, firsts, async (parts, bytes, count, wished) => {
      const first = wished ?? bytes;
      const input = parts.map((part) => Buffer.from(part));
      const recent: Buffer[] = [];
      const copies: Buffer[] = [];
      for await (const block of blocksOf(
        reusing(input),
        wished === undefined ? { bytes, count } : { bytes, count, first: wished },
      )) {
        recent.push(block);
        copies.push(Buffer.from(block));
        // Of `count` blocks the first is written over only when one more is asked for.
        if (recent.length > count) recent.shift();
        expect(Buffer.concat(recent).equals(Buffer.concat(copies.slice(-recent.length)))).toBe(true);
      }
      expect(Buffer.concat(copies).equals(Buffer.concat(input))).toBe(true);
      const sizesWanted = copies.map((_, index) => Math.min(bytes, first * 2 ** index));
      expect(copies.slice(0, -1).map(({ length }) => length)).toEqual(sizesWanted.slice(0, -1));
      const lastOne = copies.at(-1)?.length ?? 1;
      expect(lastOne > 0 && lastOne <= (sizesWanted.at(-1) ?? 1)).toBe(true);
    }),
  );
});

test('no more memory is taken than was said', async () => {
  const memory = new Set<ArrayBufferLike>();
  const input = Array.from({ length: 100 }, () => Buffer.alloc(10));
  for await (const { buffer } of blocksOf(streamOf(input), { bytes: 16, count: 3 })) memory.add(buffer);
  expect(memory.size).toBe(3);
});

test('whoever wants no more of a block need not wait until it is full', async () => {
  let isWanted = true;
  let given = 0;
  let isClosed = false;
  const input = async function* () {
    try {
      for (; given < 5; given += 1) {
        isWanted = given < 2;
        yield Buffer.alloc(10);
      }
    } finally {
      isClosed = true;
    }
  };
  const assertWanted = () => {
    if (!isWanted) throw new Error('no more');
  };
  await expect(blocksOf(input(), { bytes: 1_000, count: 2, assertWanted }).next()).rejects.toThrow('no more');
  expect([given, isClosed]).toEqual([2, true]);
});
