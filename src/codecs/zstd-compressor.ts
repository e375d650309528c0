import type { Transform } from 'node:stream';
import { availableParallelism } from 'node:os';
import { constants, createZstdCompress } from 'node:zlib';

/** What of one block of input a thread compresses by itself: the smallest that hardly costs size. */
const JOB_BYTES = 1024 * 1024;
/** 128 MiB: the longest window that `zstd -d` and Node's decoder accept without being told to. */
const LONG_WINDOW_LOG = 27;

export interface ZstdOptions {
  level: number;
  longDistance: boolean;
  /** What the stream hands out at once, and how much of it may wait. */
  buffers: { chunkSize: number; highWaterMark: number };
}

/** A transform, and what it should be given at once. */
export interface Compressor {
  transform: Transform;
  block_bytes: number;
}

/**
 * Compresses into one frame with a checksum. Where there are cores to share the work, zstd's own threads do it, on the
 * parts of one block of 4 MiB at a time. The long window is searched by one thread: it takes memory enough.
 */
export function zstdCompressor({ level, longDistance, buffers }: ZstdOptions): Compressor {
  const params = {
    [constants.ZSTD_c_compressionLevel]: level,
    // Off by default; without it a flipped bit can decode without any error.
    [constants.ZSTD_c_checksumFlag]: 1,
  };
  if (longDistance) {
    Object.assign(params, {
      [constants.ZSTD_c_enableLongDistanceMatching]: 1,
      [constants.ZSTD_c_windowLog]: LONG_WINDOW_LOG,
    });
  }
  const threads = longDistance ? 1 : Math.min(4, availableParallelism());
  if (threads === 1) return { transform: createZstdCompress({ ...buffers, params }), block_bytes: JOB_BYTES };
  Object.assign(params, {
    [constants.ZSTD_c_nbWorkers]: threads,
    [constants.ZSTD_c_jobSize]: JOB_BYTES,
  });
  // With threads a plain write may return before it has taken all of its input, which Node (24.x) takes for the end
  // of the stream. A write that flushes returns when all of it is compressed, and what comes of it handed out.
  const flush = constants.ZSTD_e_flush;
  return { transform: createZstdCompress({ ...buffers, params, flush }), block_bytes: 4 * JOB_BYTES };
}
