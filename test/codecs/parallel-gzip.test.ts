import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { parallelGzip } from '../../src/codecs/parallel-gzip.ts';
import { requireProgram } from '../support/require-program.ts';
import { collected, piecesOf, reusing } from '../support/reusing.ts';
import { rows } from '../support/varied-bytes.ts';

const BLOCK_BYTES = 256 * 1024;

async function* streamOf(...chunks: Buffer[]): AsyncGenerator<Buffer, void, undefined> {
  yield* chunks;
}

async function compress(level: number, ...chunks: Buffer[]): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of parallelGzip(streamOf(...chunks), level)) parts.push(part);
  return Buffer.concat(parts);
}

const INPUTS: [what: string, data: Buffer][] = [
  ['nothing', Buffer.alloc(0)],
  ['one byte', Buffer.from('x')],
  ['less than a window', rows(20_000)],
  ['one block', rows(BLOCK_BYTES)],
  ['one block and a byte', rows(BLOCK_BYTES + 1)],
  ['many blocks', rows(9 * BLOCK_BYTES + 4_321)],
  ['what does not compress', randomBytes(3 * BLOCK_BYTES + 77)],
  ['zeros', Buffer.alloc(5 * BLOCK_BYTES)],
];

describe.each(INPUTS)('%s', (_what, data) => {
  test.each([1, 6, 9])('at level %i is one member that every decoder reads', async (level) => {
    const stored = await compress(level, data);
    expect(gunzipSync(stored).equals(data)).toBe(true);
    for (const [name, program, ...args] of [
      ['gzip', 'gzip', '-dc'],
      ['gzip', 'zcat'],
      [
        'python3',
        'python3',
        '-c',
        'import gzip,sys;sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))',
      ],
    ] as const) {
      requireProgram(program, name);
      const { status, stdout } = spawnSync(program, args, {
        input: stored,
        maxBuffer: 1 << 28,
      });
      expect([program, status, stdout.equals(data)]).toEqual([program, 0, true]);
    }
    expect(spawnSync('gzip', ['-t'], { input: stored }).status).toBe(0);
  });
});

test('how the input is cut does not show in the archive', async () => {
  const data = rows(3 * BLOCK_BYTES + 99);
  const whole = await compress(6, data);
  const pieces: Buffer[] = [];
  for (let at = 0; at < data.length; at += 10_007) pieces.push(data.subarray(at, at + 10_007));
  expect((await compress(6, ...pieces)).equals(whole)).toBe(true);
});

test('the memory of what has been compressed may be used again', async () => {
  const data = rows(9 * BLOCK_BYTES + 99);
  const stored = await collected(parallelGzip(reusing(piecesOf(data, BLOCK_BYTES)), 1));
  expect(gunzipSync(stored).equals(data)).toBe(true);
});

test('a block refers to the one before it', async () => {
  // Compressible only from one block to the next.
  const part = randomBytes(BLOCK_BYTES);
  const tail = Buffer.concat([part, part.subarray(-20_000)]);
  const alone = await compress(6, part);
  expect((await compress(6, tail)).length - alone.length).toBeLessThan(2_000);
});

test('sizes above 4 GiB are recorded modulo 2^32, as the format has it', async () => {
  const block = Buffer.alloc(64 << 20);
  const count = 65;
  const chunks = async function* () {
    for (let n = 0; n < count; n += 1) yield block;
  };
  let end = Buffer.alloc(0);
  for await (const part of parallelGzip(chunks(), 1)) end = Buffer.concat([end, part]).subarray(-4);
  expect(end.readUInt32LE(0)).toBe((block.length * count) % 2 ** 32);
});

test('an error of the input comes out, and lets go of it', async () => {
  let released = false;
  const failing = async function* () {
    try {
      for (let n = 0; n < 6; n += 1) yield rows(BLOCK_BYTES);
      throw new Error('pg_dump died');
    } finally {
      released = true;
    }
  };
  const drained = (async () => {
    for await (const part of parallelGzip(failing(), 9)) expect(part.length).toBeGreaterThan(0);
  })();
  await expect(drained).rejects.toThrow('pg_dump died');
  expect(released).toBe(true);
});
