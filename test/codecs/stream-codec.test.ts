import { PassThrough, Transform } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createCodec } from '../../src/codecs/codecs.ts';
import { through } from '../../src/codecs/stream-codec.ts';
import { collected, piecesOf, reusing } from '../support/reusing.ts';
import { noise } from '../support/varied-bytes.ts';
import { waitFor } from '../support/wait-for.ts';

const MEBIBYTE = 1024 * 1024;
const BLOCK_BYTES = 1_000;

/** Gives what the first block of zstd is made of, then nothing until it is told to go on. */
function stalling() {
  const { promise: going, resolve: goOn } = Promise.withResolvers<void>();
  const seen = { isClosed: false };
  const stream = async function* () {
    try {
      for (let count = 0; count < 2; count += 1) yield Buffer.alloc(MEBIBYTE, 'a row\n');
      await going;
      for (;;) yield Buffer.from('the next row\n');
    } finally {
      seen.isClosed = true;
    }
  };
  return { stream, goOn, seen };
}

test('whoever leaves is not held up by a source that is stalled, which is closed when it goes on', async () => {
  const { stream, goOn, seen } = stalling();
  const full = async () => {
    for await (const chunk of createCodec('zstd').encode(stream())) {
      throw new Error(`no space for ${chunk.length > 0}`);
    }
  };
  await expect(full()).rejects.toThrow('no space for true');
  expect(seen.isClosed).toBe(false);
  goOn();
  await waitFor('the source to be closed', () => seen.isClosed);
}, 10_000);

test('a transform that fails is told at once, whatever the source does', async () => {
  const { stream, goOn, seen } = stalling();
  const transform = new PassThrough();
  const drained = (async () => {
    for await (const chunk of through(stream(), transform, { bytes: MEBIBYTE })) {
      if (chunk.length > 0) setImmediate(() => transform.destroy(new Error('out of memory')));
    }
  })();
  await expect(drained).rejects.toThrow('out of memory');
  goOn();
  await waitFor('the source to be closed', () => seen.isClosed);
}, 10_000);

test('a source that gives little at a time is closed before the iteration has settled', async () => {
  let isClosed = false;
  const trickle = async function* () {
    try {
      for (let count = 0; count < 2; count += 1) yield Buffer.alloc(MEBIBYTE, 'a row\n');
      for (;;) {
        // Much sooner than the grace of an input that gives nothing, and far too seldom to fill a block within it.
        await sleep(10);
        yield Buffer.from('the next row\n');
      }
    } finally {
      isClosed = true;
    }
  };
  for await (const chunk of createCodec('zstd').encode(trickle())) {
    expect(chunk.length).toBeGreaterThan(0);
    break;
  }
  expect(isClosed).toBe(true);
}, 10_000);

/** Looks at what it was given long after it was given it, as a thread does that has other work first. */
function late(): Transform {
  return new Transform({
    highWaterMark: 100 * BLOCK_BYTES,
    transform(chunk: Buffer, _encoding, done) {
      setImmediate(() => setImmediate(() => done(null, Buffer.from(chunk))));
    },
  });
}

test.each([333, BLOCK_BYTES, 7 * BLOCK_BYTES])(
  'a transform that is late finds each block as it was, in chunks of %i bytes',
  async (bytes) => {
    const data = noise(40 * BLOCK_BYTES + 17);
    const passed = await collected(through(reusing(piecesOf(data, bytes)), late(), { bytes: BLOCK_BYTES }));
    expect(passed.equals(data)).toBe(true);
  },
);
