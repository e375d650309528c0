import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { constants, createZstdCompress, zstdDecompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { createCodec } from '../../src/codecs/codecs.ts';
import { through } from '../../src/codecs/stream-codec.ts';
import { zstdCompressor } from '../../src/codecs/zstd-compressor.ts';
import type { ByteStream, CodecOptions } from '../../src/domain/ports.ts';
import { requireProgram } from '../support/require-program.ts';
import { collected } from '../support/reusing.ts';
import { waitFor } from '../support/wait-for.ts';

const MEBIBYTE = 1024 * 1024;
const NOTHING = Buffer.alloc(0);

/** Several blocks and a rest, of what compresses well, badly, and not at all. */
const DATA = Buffer.concat([
  Buffer.alloc(3 * MEBIBYTE, 'a row that comes again and again\n'),
  randomBytes(3 * MEBIBYTE),
  Buffer.from(randomBytes(3 * MEBIBYTE).toString('hex')),
  Buffer.alloc(17),
]);
/** More than the first three blocks hold. */
const TWICE = Buffer.concat([DATA, DATA]);

async function* piecesOf(data: Buffer, bytes: number): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; at < data.length; at += bytes) yield data.subarray(at, at + bytes);
}

async function encoded(input: ByteStream, options: CodecOptions = {}): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of createCodec('zstd', options).encode(input)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

test('a dump is compressed in a way of its own at the default level, and at any other as it says', async () => {
  const rows = Buffer.from(randomBytes(2 * MEBIBYTE).toString('hex'));
  const stored = async (level: number, content: 'database' | 'files') =>
    await encoded(piecesOf(rows, MEBIBYTE), { level, content });
  const dump = await stored(3, 'database');
  expect(zstdDecompressSync(dump).equals(rows)).toBe(true);
  expect(dump.length).toBeLessThan((await stored(3, 'files')).length);
  expect((await stored(4, 'database')).equals(await stored(4, 'files'))).toBe(true);
});

function threadsNow(): number {
  return readdirSync('/proc/self/task').length;
}

describe.each([1, 3, 19])('at level %i several threads', (level) => {
  test('write one frame with a checksum, which every decoder reads', async () => {
    requireProgram('zstd', 'zstd');
    const stored = await encoded(piecesOf(DATA, 300_001), { level });
    expect(zstdDecompressSync(stored).equals(DATA)).toBe(true);
    const options = { input: stored, maxBuffer: 2 * DATA.length };
    expect(execFileSync('zstd', ['-dc'], options).equals(DATA)).toBe(true);
    // A frame of its own for each block would begin with this.
    const descriptor = stored.readUInt8(4);
    expect(descriptor & 0b100).toBe(0b100);
    expect(frames(stored)).toBe(1);
  });
});

/** Frames of a file, by RFC 8878: a header, blocks to the last one, a checksum. */
function frames(stored: Buffer): number {
  let count = 0;
  for (let at = 0; at < stored.length; count += 1) {
    expect(stored.readUInt32LE(at)).toBe(0xfd2fb528);
    const descriptor = stored.readUInt8(at + 4);
    const singleSegment = (descriptor >> 5) & 1;
    const sizeBytes = [singleSegment, 2, 4, 8][descriptor >> 6] ?? 0;
    at += 5 + (1 - singleSegment) + ([0, 1, 2, 4][descriptor & 3] ?? 0) + sizeBytes;
    for (let isLast = false; !isLast; ) {
      const header = stored.readUIntLE(at, 3);
      isLast = (header & 1) === 1;
      const isRun = ((header >> 1) & 3) === 1;
      at += 3 + (isRun ? 1 : header >> 3);
    }
    at += descriptor & 0b100 ? 4 : 0;
  }
  return count;
}

test.each([
  ['near', false],
  ['far', true],
] as const)('with any number of threads it is one frame, whose matches are %s', async (_, longDistance) => {
  // Blocks of each number of threads, and a rest.
  const data = DATA.subarray(MEBIBYTE, 6 * MEBIBYTE + 17);
  const made: Buffer[] = [];
  for (const threads of longDistance ? [1, 2] : [1, 2, 3]) {
    const buffers = { chunkSize: MEBIBYTE / 2, highWaterMark: 2 * MEBIBYTE };
    const options = { level: 1, longDistance, content: undefined, buffers, threads };
    const { transform, blocks } = zstdCompressor(options);
    const stored = await collected(through(piecesOf(data, 300_001), transform, blocks));
    expect(zstdDecompressSync(stored).equals(data)).toBe(true);
    expect(frames(stored)).toBe(1);
    expect(stored.readUInt8(4) & 0b100).toBe(0b100);
    made.push(stored);
  }
  const [one = NOTHING, two = NOTHING, three = two] = made;
  expect(three.equals(two)).toBe(true);
  // Threads compress parts that do not look back at one another; the long window is searched by one.
  expect(two.equals(one)).toBe(longDistance);
});

test('how the input is cut, and how the threads get their turns, does not show in the archive', async () => {
  const once = await encoded(piecesOf(DATA, DATA.length));
  expect((await encoded(piecesOf(DATA, 77_777))).equals(once)).toBe(true);
  expect((await encoded(piecesOf(DATA, 5 * MEBIBYTE))).equals(once)).toBe(true);
});

test.each([
  0,
  1,
  2 * MEBIBYTE - 1,
  2 * MEBIBYTE,
  6 * MEBIBYTE,
  6 * MEBIBYTE + 1,
  14 * MEBIBYTE,
  14 * MEBIBYTE + 1,
])('%i bytes come back', async (bytes) => {
  const data = TWICE.subarray(MEBIBYTE, MEBIBYTE + bytes);
  expect(data).toHaveLength(bytes);
  const stored = await encoded(piecesOf(data, 100_000));
  expect(zstdDecompressSync(stored).equals(data)).toBe(true);
  expect(frames(stored)).toBe(1);
});

test('no thread is left, whether it ends, breaks off or is left early', async () => {
  await encoded(piecesOf(DATA, 100_000));
  const before = threadsNow();
  for (let run = 0; run < 5; run += 1) {
    await encoded(piecesOf(DATA, 100_000));
    const broken = async function* () {
      yield* piecesOf(DATA, 100_000);
      throw new Error('the disk went away');
    };
    await expect(encoded(broken())).rejects.toThrow('the disk went away');
    for await (const chunk of createCodec('zstd').encode(piecesOf(DATA, 100_000))) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
  }
  await waitFor('the threads to be gone', () => threadsNow() <= before);
});

test('a libzstd without threads compresses in one', async () => {
  const create: typeof createZstdCompress = (options) => {
    const { params = {} } = options ?? {};
    if (constants.ZSTD_c_nbWorkers in params) {
      // As Node does where libzstd refuses a parameter, which these are in one without threads.
      params[constants.ZSTD_c_windowLog] = 99;
    }
    return createZstdCompress(options);
  };
  const options = {
    level: 3,
    longDistance: false,
    content: undefined,
    buffers: { chunkSize: MEBIBYTE, highWaterMark: MEBIBYTE },
  };
  const { transform, blocks } = zstdCompressor(options, create);
  const chunks: Buffer[] = [];
  for await (const chunk of through(piecesOf(DATA, 300_001), transform, blocks)) chunks.push(chunk);
  const stored = Buffer.concat(chunks);
  expect(zstdDecompressSync(stored).equals(DATA)).toBe(true);
  expect(frames(stored)).toBe(1);
});
