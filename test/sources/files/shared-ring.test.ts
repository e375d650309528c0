import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { makeRing, RingReader, RingWriter } from '../../../src/sources/files/shared-ring.ts';

test('chunks come in the order they were written, around and around', () => {
  const ring = makeRing(3, 8);
  const writer = new RingWriter(ring);
  const reader = new RingReader(ring);
  for (let chunk = 0; chunk < 10; chunk += 1) {
    writer.nextSlot().write(`no ${chunk}`);
    expect(reader.take(4).toString()).toBe(`no ${chunk}`);
    reader.release();
  }
});

test('a slot is not written to before its chunk was released', async () => {
  const ring = makeRing(2, 4);
  // A writer that never stops by itself.
  const worker = new Worker(
    `import { workerData, parentPort } from 'node:worker_threads';
     const { RingWriter } = await import(workerData.module);
     const writer = new RingWriter(workerData.ring);
     for (let chunk = 0; chunk < 1_000; chunk += 1) {
       writer.nextSlot().writeUInt32LE(chunk);
       parentPort.postMessage(chunk);
     }`,
    {
      eval: true,
      workerData: {
        ring,
        module: new URL('../../../src/sources/files/shared-ring.ts', import.meta.url).href,
      },
    },
  );
  const reader = new RingReader(ring);
  let torn = 0;
  let expected = 0;
  await new Promise<void>((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', () => resolve());
    worker.on('message', () => {
      const chunk = reader.take(4);
      // Time for the writer to run ahead, which it must not.
      if (expected % 100 === 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      if (chunk.readUInt32LE() !== expected) torn += 1;
      expected += 1;
      reader.release();
    });
  });
  expect([expected, torn]).toEqual([1_000, 0]);
});
