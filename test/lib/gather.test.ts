import { PassThrough, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { gather } from '../../src/lib/gather.ts';

const BATCH_BYTES = 256 * 1024;

/** Copies: a batch is written over once the next is asked for. */
async function drain(stream: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const batches: Buffer[] = [];
  for await (const batch of stream) batches.push(Buffer.from(batch));
  return batches;
}

/** Bytes of which no two places look alike. */
function numbered(bytes: number): Buffer {
  const data = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) data.writeUInt32LE(at, at);
  return data;
}

test.each([0, 1, BATCH_BYTES - 1, BATCH_BYTES, BATCH_BYTES + 1, 10 * BATCH_BYTES + 12_345])(
  '%i bytes come as they went in, in whole batches but for the last',
  async (bytes) => {
    const data = numbered(bytes);
    const pieces: Buffer[] = [];
    for (let at = 0; at < bytes; at += 7_777) pieces.push(data.subarray(at, at + 7_777));
    const batches = await drain(gather(Readable.from(pieces, { objectMode: false })));
    expect(Buffer.concat(batches).equals(data)).toBe(true);
    expect(batches.slice(0, -1).every(({ length }) => length === BATCH_BYTES)).toBe(true);
    expect(batches).toHaveLength(Math.ceil(bytes / BATCH_BYTES));
  },
);

test('a chunk larger than a batch is divided', async () => {
  const data = numbered(3 * BATCH_BYTES + 5);
  const batches = await drain(gather(Readable.from([data], { objectMode: false })));
  expect(Buffer.concat(batches).equals(data)).toBe(true);
  expect(batches.map(({ length }) => length)).toEqual([BATCH_BYTES, BATCH_BYTES, BATCH_BYTES, 5]);
});

test('what a slow writer has written is handed on while it goes on', async () => {
  const stream = new PassThrough();
  const batches = gather(stream);
  stream.write('first');
  expect((await batches.next()).value?.toString()).toBe('first');
  stream.write('second');
  expect((await batches.next()).value?.toString()).toBe('second');
  stream.end();
  expect((await batches.next()).done).toBe(true);
});

test('a reader that stops holds the writer up', async () => {
  let given = 0;
  const stream = new Readable({
    read() {
      given += 65_536;
      this.push(Buffer.alloc(65_536, 1));
    },
  });
  const batches = gather(stream);
  await batches.next();
  await sleep(50);
  const held = given;
  await sleep(50);
  expect(given).toBe(held);
  expect(given).toBeLessThan(8 * BATCH_BYTES);
  await batches.next();
  await batches.next();
  await sleep(50);
  expect(given).toBeGreaterThan(held);
  await batches.return();
  expect(stream.destroyed).toBe(true);
});

test('memory is used again, however much passes', async () => {
  const pieces = Array.from({ length: 100 }, () => Buffer.alloc(BATCH_BYTES / 2, 1));
  const memory = new Set<ArrayBufferLike>();
  for await (const { buffer } of gather(Readable.from(pieces, { objectMode: false }))) memory.add(buffer);
  expect(memory.size).toBeLessThan(8);
});

test('an error comes behind the last byte before it', async () => {
  const stream = new PassThrough();
  const batches = gather(stream);
  stream.write('before');
  setImmediate(() => stream.destroy(new Error('the pipe broke')));
  expect((await batches.next()).value?.toString()).toBe('before');
  await expect(batches.next()).rejects.toThrow('the pipe broke');
});

test('a stream that is closed before its end is no end', async () => {
  const stream = new PassThrough();
  const batches = gather(stream);
  stream.write('half');
  setImmediate(() => stream.destroy());
  await batches.next();
  await expect(batches.next()).rejects.toThrow(/premature close/i);
});
