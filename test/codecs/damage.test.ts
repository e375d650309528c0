import { beforeAll, describe, expect, test } from 'vitest';
import { createCodec } from '../../src/codecs/codecs.ts';
import { parallelGzip } from '../../src/codecs/parallel-gzip.ts';
import { BackupError } from '../../src/domain/errors.ts';
import { collected, piecesOf } from '../support/reusing.ts';
import { variedBytes } from '../support/varied-bytes.ts';

/*
 * Archives of many blocks, damaged at the places where something begins or ends, and in between. Small archives are
 * damaged at every bit in codecs.test.ts.
 */

const MEBIBYTE = 1024 * 1024;
const DATA = variedBytes(9 * MEBIBYTE + 4_321);
/** As an archive is read. */
const CHUNK_BYTES = 256 * 1024;
/** Each costs a part of a decompression of all of it. */
const EDGES = 4;
const BETWEEN = 3;

type Type = 'gzip' | 'zstd';
type Found = 'damaged' | 'the same' | 'other bytes';

async function* streamOf(data: Buffer): AsyncGenerator<Buffer, void, undefined> {
  yield* piecesOf(data, CHUNK_BYTES);
}

/** What a reader of the archive finds. */
async function decoded(type: Type, stored: Buffer): Promise<Found> {
  let at = 0;
  let isSame = true;
  try {
    for await (const chunk of createCodec(type).decode(streamOf(stored))) {
      isSame &&= chunk.equals(DATA.subarray(at, at + chunk.length));
      at += chunk.length;
    }
  } catch (error) {
    if (error instanceof BackupError && error.code === 'ARCHIVE_CORRUPT') return 'damaged';
    throw error;
  }
  return isSame && at === DATA.length ? 'the same' : 'other bytes';
}

/** Some of them, spread evenly, the first and the last among them. */
function spread(places: readonly number[], count: number): number[] {
  const last = places.length - 1;
  const chosen = Array.from({ length: count }, (_, at) => places[Math.round((at * last) / (count - 1))] ?? 0);
  return [...new Set(chosen)];
}

function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, at) => first + at);
}

/** Where the blocks of a member begin, the last one being the trailer: what is handed out at once is one of them. */
async function gzipBlocks(): Promise<{ stored: Buffer; edges: number[] }> {
  const parts: Buffer[] = [];
  const edges: number[] = [];
  let at = 0;
  for await (const part of parallelGzip(streamOf(DATA), 1)) {
    parts.push(Buffer.from(part));
    at += part.length;
    edges.push(at);
  }
  return { stored: Buffer.concat(parts), edges: edges.slice(0, -1) };
}

/** Where the blocks of a frame begin, by RFC 8878, and behind the last one the checksum. */
async function zstdBlocks(): Promise<{ stored: Buffer; edges: number[] }> {
  const stored = await collected(createCodec('zstd', { level: 1 }).encode(streamOf(DATA)));
  const edges: number[] = [];
  // Magic number, descriptor and window.
  let at = 6;
  for (let isLast = false; !isLast; ) {
    edges.push(at);
    const header = stored.readUIntLE(at, 3);
    isLast = (header & 1) === 1;
    const isRun = ((header >> 1) & 3) === 1;
    at += 3 + (isRun ? 1 : header >> 3);
  }
  return { stored, edges: [...edges, at] };
}

/**
 * Bits without which a decoder finds the same bytes. Of gzip: when and by which system the archive was made, whether
 * it is text (RFC 1952), and what fills the last byte before a block that is stored as it is (RFC 1951). Of zstd
 * (RFC 8878): one bit without a use, whether a checksum follows, and how far back the frame looks.
 */
const MEANINGLESS: Record<Type, (at: number, bit: number, stored: Buffer) => boolean> = {
  gzip: (at, bit, stored) =>
    (at >= 4 && at < 10) || (at === 3 && bit === 0) || isBeforeStoredBlock(at, stored),
  zstd: (at, bit) => (at === 4 && (bit === 4 || bit === 2)) || at === 5,
};

/** A block that is stored as it is begins, at a byte, with its length and the complement of that. */
function isBeforeStoredBlock(at: number, stored: Buffer): boolean {
  if (at + 5 > stored.length) return false;
  return (stored.readUInt16LE(at + 1) ^ stored.readUInt16LE(at + 3)) === 0xffff;
}

describe.each([
  ['gzip', gzipBlocks, 10, 3, 8],
  ['zstd', zstdBlocks, 6, 4, 4],
] as const)('an archive of many blocks through %s', (type, make, headerBytes, flagsAt, checkBytes) => {
  let stored: Buffer;
  let edges: number[];
  let between: number[];
  /** Some of the check sum and, of gzip, of the size. */
  let ends: number[];

  beforeAll(async () => {
    ({ stored, edges } = await make());
    between = spread(range(headerBytes, stored.length), BETWEEN + 2).slice(1, -1);
    ends = spread(range(stored.length - checkBytes, stored.length), 3);
  });

  async function flip(at: number, bit: number): Promise<Found> {
    const byte = stored.readUInt8(at);
    stored.writeUInt8(byte ^ (1 << bit), at);
    const found = await decoded(type, stored);
    stored.writeUInt8(byte, at);
    return found;
  }

  test('is whole, and has many blocks', async () => {
    expect(edges.length).toBeGreaterThan(30);
    expect(edges.at(-1)).toBeLessThan(stored.length);
    expect(await decoded(type, stored)).toBe('the same');
  });

  test('is damaged when it is cut at a block, a byte before, a byte behind, or between', async () => {
    const cuts = spread(edges, EDGES).flatMap((edge) => [edge - 1, edge, edge + 1]);
    for (const length of [...cuts, ...between, ...ends]) {
      expect([length, await decoded(type, stored.subarray(0, length))]).toEqual([length, 'damaged']);
    }
  });

  test('is damaged by one bit, or gives the same bytes where the bit means nothing', async () => {
    const header = spread(range(0, headerBytes), 5).map((at) => [at, at % 8]);
    const flags = range(0, 8).map((bit) => [flagsAt, bit]);
    const places = spread(edges, EDGES).flatMap((edge) => [edge - 5, edge, edge + 1]);
    const rest = [...places, ...between, ...ends].map((at) => [at, at % 8]);
    for (const [at = 0, bit = 0] of [...header, ...flags, ...rest]) {
      const found = await flip(at, bit);
      const isHarmless = found === 'the same' && MEANINGLESS[type](at, bit, stored);
      expect([at, bit, isHarmless ? 'damaged' : found]).toEqual([at, bit, 'damaged']);
    }
  });
});
