import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createCodec } from '../../src/codecs/codecs.ts';
import { BackupError } from '../../src/domain/errors.ts';
import { COMPRESSION_TYPES } from '../../src/domain/manifest.ts';
import type { ByteStream } from '../../src/domain/ports.ts';
import { requireProgram } from '../support/require-program.ts';
import { dumpText } from '../support/fakes.ts';
import { collected, piecesOf, reusing } from '../support/reusing.ts';
import { variedBytes } from '../support/varied-bytes.ts';

const MEBIBYTE = 1024 * 1024;
/** Several blocks of every codec, in either direction, and a rest. */
const VARIED = variedBytes(17 * MEBIBYTE + 12_345);
const TEXT = Buffer.from(dumpText(Array.from({ length: 200 }, (_, row) => `${row}\tname of ${row}`)));

async function* streamOf(...chunks: Buffer[]): AsyncGenerator<Buffer, void, undefined> {
  yield* chunks;
}

async function collect(stream: ByteStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** For what is valid until the next is asked for. */
async function* copied(stream: ByteStream): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of stream) yield Buffer.from(chunk);
}

/** The buffer in pieces that end at the given places. */
function cutAt(data: Buffer, places: number[]): Buffer[] {
  const ends = [...places.map((place) => place % (data.length + 1)), data.length].sort((a, b) => a - b);
  return ends.map((end, index) => data.subarray(ends[index - 1] ?? 0, end));
}

/** What a reader of the archive finds: the bytes, or that they are damaged. */
async function decodeOr(type: 'gzip' | 'zstd', stored: Buffer): Promise<Buffer | 'damaged'> {
  try {
    return await collect(createCodec(type).decode(streamOf(stored)));
  } catch (error) {
    if (error instanceof BackupError && error.code === 'ARCHIVE_CORRUPT') return 'damaged';
    throw error;
  }
}

describe.each(COMPRESSION_TYPES)('%s', (type) => {
  test('gives back what went in, however it is cut into chunks', async () => {
    const codec = createCodec(type);
    const cuts = fc.array(fc.nat(100_000), { maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5_000 }), cuts, cuts, async (bytes, before, after) => {
        const data = Buffer.from(bytes);
        const stored = await collect(codec.encode(streamOf(...cutAt(data, before))));
        const back = await collect(codec.decode(streamOf(...cutAt(stored, after))));
        expect(back.equals(data)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  test('decodes into memory that stays as it is while more is decoded', async () => {
    const data = randomBytes(3_000_001);
    const codec = createCodec(type);
    const stored = await collect(copied(codec.encode(streamOf(data))));
    const cuts = Array.from({ length: 40 }, (_, index) => index * 75_000);
    // It looks at no chunk before it has all of them.
    expect((await collect(codec.decode(streamOf(...cutAt(stored, cuts))))).equals(data)).toBe(true);
  });

  test('passes an error of its input on, in both directions', async () => {
    const failing = async function* () {
      yield TEXT.subarray(0, 100);
      throw new Error('the disk went away');
    };
    const codec = createCodec(type);
    await expect(collect(codec.encode(failing()))).rejects.toThrow('the disk went away');
    const stored = await collect(codec.encode(streamOf(TEXT)));
    const cut = async function* () {
      yield stored.subarray(0, 20);
      throw new Error('the disk went away');
    };
    await expect(collect(codec.decode(cut()))).rejects.toThrow('the disk went away');
  });

  test('lets go of its input when the reader leaves early or stumbles', async () => {
    const codec = createCodec(type);
    const stored = await collect(codec.encode(streamOf(TEXT)));
    for (const direction of ['encode', 'decode'] as const) {
      let isReleased = false;
      const endless = async function* () {
        try {
          for (;;) yield direction === 'encode' ? Buffer.alloc(300_000, isReleased ? 1 : 2) : stored;
        } finally {
          isReleased = true;
        }
      };
      for await (const chunk of codec[direction](endless())) {
        expect(chunk.length).toBeGreaterThan(0);
        break;
      }
      expect(isReleased).toBe(true);
    }
  });
});

// In chunks as large as what is taken at once, of which a copy could be thought not to be needed.
test.each([
  ['none', MEBIBYTE],
  ['gzip', MEBIBYTE / 4],
  ['gzip', MEBIBYTE],
  ['zstd', MEBIBYTE],
  ['zstd', 8 * MEBIBYTE],
] as const)('%s keeps no chunk of %i bytes, in either direction', async (type, bytes) => {
  const codec = createCodec(type, { level: 1 });
  const stored = await collected(codec.encode(reusing(piecesOf(VARIED, bytes))));
  expect((await collected(codec.decode(streamOf(stored)))).equals(VARIED)).toBe(true);
  expect((await collected(codec.decode(reusing(piecesOf(stored, bytes))))).equals(VARIED)).toBe(true);
});

test('zstd writes one frame, which Node decodes however it is cut', async () => {
  const codec = createCodec('zstd');
  // Small chunks are still queued when the input ends.
  const stored = await collect(codec.encode(streamOf(Buffer.from('abc'), Buffer.from('def'))));
  const magic = Buffer.from('28b52ffd', 'hex');
  expect([stored.indexOf(magic), stored.lastIndexOf(magic)]).toEqual([0, 0]);
  for (let cut = 0; cut <= stored.length; cut += 1) {
    expect((await collect(codec.decode(streamOf(...cutAt(stored, [cut]))))).toString()).toBe('abcdef');
  }
});

describe.each(['gzip', 'zstd'] as const)('a damaged %s archive', (type) => {
  test('is noticed when it is cut at any byte', async () => {
    const stored = await collect(createCodec(type).encode(streamOf(Buffer.from(dumpText()))));
    for (let length = 0; length < stored.length; length += 1) {
      // Nothing at all is an empty archive for a decoder; its size gives it away.
      const found = await decodeOr(type, stored.subarray(0, length));
      expect(length === 0 ? found.length === 0 || found === 'damaged' : found === 'damaged').toBe(true);
    }
  });

  test('never decodes to other bytes when one bit is flipped', async () => {
    const text = Buffer.from(dumpText());
    const stored = await collect(createCodec(type).encode(streamOf(text)));
    let harmless = 0;
    for (let bit = 0; bit < stored.length * 8; bit += 1) {
      const flipped = Buffer.from(stored);
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      const found = await decodeOr(type, flipped);
      if (found === 'damaged') continue;
      expect(found.equals(text)).toBe(true);
      harmless += 1;
    }
    // Header fields and padding that no decoder looks at; that the file differs is seen from its hash.
    expect(harmless).toBeLessThan(stored.length);
  });

  test('is noticed when something follows it', async () => {
    const stored = await collect(createCodec(type).encode(streamOf(TEXT)));
    // The long one goes on when the decoder has found its end, and has handed over everything before it.
    for (const tail of [Buffer.from('garbage'), Buffer.alloc(300_000, 7), Buffer.alloc(3_000_000, 7)]) {
      const whole = Buffer.concat([stored, tail]);
      const hash = createHash('sha256');
      const seen = async function* () {
        for (const chunk of cutAt(whole, [stored.length])) {
          hash.update(chunk);
          yield chunk;
        }
      };
      const found = await collect(createCodec(type).decode(seen())).catch(() => 'damaged' as const);
      // Either the decoder says so, or it has read on and whoever hashes what it read knows.
      const isSeen = hash.digest('hex') !== createHash('sha256').update(stored).digest('hex');
      expect(found === 'damaged' || isSeen).toBe(true);
    }
  });
});

describe('what others read', () => {
  test('zcat reads a gzip archive', async () => {
    const stored = await collect(createCodec('gzip').encode(streamOf(TEXT)));
    expect(gunzipSync(stored).equals(TEXT)).toBe(true);
    const { status, stdout } = spawnSync('zcat', { input: stored });
    expect(status).toBe(0);
    expect(stdout.equals(TEXT)).toBe(true);
  });

  test('zstd -dc reads a zstd archive, which carries a checksum', async () => {
    const stored = await collect(createCodec('zstd').encode(streamOf(TEXT)));
    // RFC 8878: magic number, then the frame header descriptor, whose bit 2 says that a checksum follows.
    expect(stored.readUInt32LE(0)).toBe(0xfd2fb528);
    expect(stored.readUInt8(4) & 0b100).toBe(0b100);
    expect(zstdDecompressSync(stored).equals(TEXT)).toBe(true);
    requireProgram('zstd', 'zstd');
    const { status, stdout } = spawnSync('zstd', ['-dc'], { input: stored });
    expect(status).toBe(0);
    expect(stdout.equals(TEXT)).toBe(true);
  });

  test.each(['gzip', 'zstd'] as const)('a higher level of %s makes it smaller', async (type) => {
    const words = Array.from({ length: 20_000 }, (_, at) =>
      createHash('md5')
        .update(`${at % 3_000}`)
        .digest('hex'),
    );
    const data = Buffer.from(words.map((word, at) => word.slice(at % 11)).join(' '));
    const sizeAt = async (level: number) =>
      (await collect(createCodec(type, { level }).encode(streamOf(data)))).length;
    expect(await sizeAt(9)).toBeLessThan(await sizeAt(1));
  });
});

test('zstd finds what repeats far away when asked to, and every decoder reads that', async () => {
  // Farther apart than any window of level 3, and nothing else to find.
  const part = randomBytes(1 << 20);
  const data = Buffer.concat([part, randomBytes(24 << 20), part]);
  const near = await collect(createCodec('zstd').encode(streamOf(data)));
  const far = await collect(createCodec('zstd', { longDistance: true }).encode(streamOf(data)));
  expect(near.length - far.length).toBeGreaterThan(part.length * 0.9);
  expect((await collect(createCodec('zstd').decode(streamOf(far)))).equals(data)).toBe(true);
  requireProgram('zstd', 'zstd');
  const { status, stdout } = spawnSync('zstd', ['-dc'], { input: far, maxBuffer: 1 << 28 });
  expect([status, stdout.equals(data)]).toEqual([0, true]);
});

test.each(['gzip', 'zstd'] as const)('%s keeps memory constant whatever the size', async (type) => {
  const block = Buffer.from(Array.from({ length: 20_000 }, (_, row) => `${row}\tname of ${row}\n`).join(''));
  const blocks = Math.ceil(300_000_000 / block.length);
  const source = async function* () {
    for (let count = 0; count < blocks; count += 1) yield block;
  };
  const codec = createCodec(type, { level: 1 });
  let bytes = 0;
  let peak = 0;
  for await (const chunk of codec.decode(codec.encode(source()))) {
    bytes += chunk.length;
    peak = Math.max(peak, process.memoryUsage().arrayBuffers);
  }
  expect(bytes).toBe(block.length * blocks);
  // What is not garbage yet counts too; a stream held as a whole would be 300 MB.
  expect(peak).toBeLessThan(150_000_000);
});
