import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { BATCH_BYTES, BatchQueue } from '../../src/lib/batch-queue.ts';

const NOBODY = () => undefined;

test('a read that is under way lands behind what was handed over meanwhile', async () => {
  const queue = new BatchQueue();
  const batches = queue.batches(NOBODY);
  queue.wrote(queue.room().write('first'));
  // The place of the next read is fixed before it is known when bytes come.
  const reserved = queue.room();
  expect((await batches.next()).value?.toString()).toBe('first');
  queue.wrote(reserved.write('second'));
  expect((await batches.next()).value?.toString()).toBe('second');
  queue.end();
  expect((await batches.next()).done).toBe(true);
});

test('bytes come as they were written, however reads and hand-overs fall together', async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 100_000 }), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: 1, max: 5 }), async (pieces, stride) => {
      const queue = new BatchQueue();
      const batches = queue.batches(NOBODY);
      let written = 0;
      let read = 0;
      const check = (batch: Buffer) => {
        for (const byte of batch) {
          if (byte !== read % 251) throw new Error(`byte ${read} is wrong`);
          read += 1;
        }
      };
      for (const [at, size] of pieces.entries()) {
        const room = queue.room();
        const bytes = Math.min(size, room.length);
        for (let index = 0; index < bytes; index += 1) room[index] = (written + index) % 251;
        written += bytes;
        queue.wrote(bytes);
        if (at % stride === 0) check((await batches.next()).value ?? Buffer.alloc(0));
      }
      queue.end();
      for await (const batch of batches) check(batch);
      expect(read).toBe(written);
    }),
    { numRuns: 20 },
  );
});

test('memory is used again once the whole of it was read', async () => {
  const queue = new BatchQueue();
  const batches = queue.batches(NOBODY);
  const memory = new Set<ArrayBufferLike>();
  for (let turn = 0; turn < 50; turn += 1) {
    const room = queue.room();
    memory.add(room.buffer);
    queue.wrote(Math.min(room.length, BATCH_BYTES / 2));
    if (turn % 2 === 1) await batches.next();
  }
  expect(memory.size).toBeLessThan(4);
});

test('whoever writes is told of room once the queue, which was full, has some', async () => {
  let told = 0;
  const queue = new BatchQueue();
  const batches = queue.batches(() => {
    told += 1;
  });
  while (!queue.isFull) queue.wrote(queue.room().length);
  expect(told).toBe(0);
  await batches.next();
  expect([told, queue.isFull]).toEqual([1, false]);
  await batches.next();
  expect(told).toBe(1);
});
