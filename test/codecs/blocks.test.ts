import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { blocksOf } from '../../src/codecs/blocks.ts';

async function* streamOf(chunks: readonly Buffer[]): AsyncGenerator<Buffer, void, undefined> {
  yield* chunks;
}

test('the same bytes in blocks of one size, however they were cut', async () => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(chunks, fc.integer({ min: 1, max: 30 }), async (parts, bytes) => {
      const input = parts.map((part) => Buffer.from(part));
      const blocks: Buffer[] = [];
      for await (const block of blocksOf(streamOf(input), bytes)) blocks.push(block);
      // Looked at after the last one was made: none was written to again.
      expect(Buffer.concat(blocks).equals(Buffer.concat(input))).toBe(true);
      expect(blocks.slice(0, -1).every(({ length }) => length === bytes)).toBe(true);
      expect(blocks.every(({ length }) => length > 0 && length <= bytes)).toBe(true);
    }),
  );
});

test('a chunk that is a whole block is not copied', async () => {
  const chunk = Buffer.alloc(20, 1);
  const blocks: Buffer[] = [];
  for await (const block of blocksOf(streamOf([chunk]), 10)) blocks.push(block);
  expect(blocks.map(({ buffer }) => buffer)).toEqual([chunk.buffer, chunk.buffer]);
  expect(blocks.every(({ buffer }) => buffer === chunk.buffer)).toBe(true);
});
