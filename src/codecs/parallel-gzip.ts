import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { constants, crc32, deflateRaw } from 'node:zlib';
import type { ByteStream } from '../domain/ports.ts';
import { blocksOf } from './blocks.ts';

/** pigz has 128 KiB: twice that halves what each block costs beside its bytes, and hardly takes more memory. */
const BLOCK_BYTES = 256 * 1024;
/** How far back deflate looks. */
const WINDOW_BYTES = 32_768;
/** libuv's pool has 4 threads; with more blocks than cores none waits while results are collected. */
const UNDER_WAY = Math.min(4, availableParallelism() + 2);
/** An empty final block with fixed Huffman codes. */
const FINAL_BLOCK = Buffer.from([0x03, 0x00]);

const compress = promisify<Buffer, object, Buffer>(deflateRaw);

/**
 * Compresses blocks side by side, in libuv's thread pool, into one gzip member, as the program pigz does: each block
 * is deflated with the 32 KiB before it as its dictionary and ends at a byte (a sync flush), so that the blocks
 * behind one another are one deflate stream. Every gzip decoder reads it. At most 5 blocks are under way, and all
 * of them have ended when the iteration settles.
 *
 * Format: RFC 1952 (gzip), RFC 1951 (deflate).
 */
export async function* parallelGzip(
  input: ByteStream,
  level: number,
): AsyncGenerator<Buffer, void, undefined> {
  // The header waits in the queue, so that the input has been begun by the time anything is handed out.
  const underWay = [Promise.resolve(header(level))];
  let crc = 0;
  let bytes = 0;
  let dictionary: Buffer | undefined;
  try {
    for await (const block of blocksOf(input, { bytes: BLOCK_BYTES, count: UNDER_WAY + 2 })) {
      const deflated = deflateBlock(block, level, dictionary);
      // Whoever awaits it later sees the rejection; until then it must not count as unhandled.
      deflated.catch(() => undefined);
      underWay.push(deflated);
      // While the pool works, so that it costs no time of its own.
      crc = crc32(block, crc);
      bytes += block.length;
      // It is still there when the next block begins, which copies it.
      dictionary = block.subarray(-WINDOW_BYTES);
      if (underWay.length > UNDER_WAY) yield await first(underWay);
    }
    while (underWay.length > 0) yield await first(underWay);
    yield trailer(crc, bytes);
  } finally {
    await Promise.allSettled(underWay);
  }
}

/** The result of the block that was begun first, which stays in the queue until it has ended. */
async function first(underWay: Promise<Buffer>[]): Promise<Buffer> {
  const [block = Promise.resolve(Buffer.alloc(0))] = underWay;
  const deflated = await block;
  void underWay.shift();
  return deflated;
}

async function deflateBlock(block: Buffer, level: number, dictionary: Buffer | undefined): Promise<Buffer> {
  return await compress(block, {
    level,
    chunkSize: BLOCK_BYTES / 2,
    finishFlush: constants.Z_SYNC_FLUSH,
    ...(dictionary === undefined ? {} : { dictionary }),
  });
}

/** No name and no time: two runs over the same bytes write the same archive. */
function header(level: number): Buffer {
  const deflate = 8;
  const extra = level === 9 ? 2 : level === 1 ? 4 : 0;
  const unix = 3;
  return Buffer.from([0x1f, 0x8b, deflate, 0, 0, 0, 0, 0, extra, unix]);
}

function trailer(crc: number, bytes: number): Buffer {
  const end = Buffer.alloc(8);
  end.writeUInt32LE(crc, 0);
  end.writeUInt32LE(bytes % 2 ** 32, 4);
  return Buffer.concat([FINAL_BLOCK, end]);
}
