import type { Transform } from 'node:stream';
import { availableParallelism } from 'node:os';
import { constants, createZstdCompress } from 'node:zlib';
import { DEFAULT_LEVELS } from '../domain/compression-levels.ts';
import type { CodecOptions } from '../domain/ports.ts';
import type { BlockSize } from './blocks.ts';

const MEBIBYTE = 1024 * 1024;
/** As many as keep up with what a program writes or a disk reads. */
const MOST_THREADS = 2;
/** What a thread compresses by itself. */
const JOB_BYTES = 2 * MEBIBYTE;
/** Two for each thread: with one, the thread that is done first waits for the other; more of them take more memory. */
const JOBS_AT_ONCE = 2 * MOST_THREADS;
/** A job does not look back at the bytes before it: that takes a sixth of the time, for 1 % of size at most. */
const NO_OVERLAP = 1;
/** 128 MiB: the longest window that `zstd -d` and Node's decoder accept without being told to. */
const LONG_WINDOW_LOG = 27;

/**
 * What the default level looks for in a dump: repetitions of six bytes and more, in tables of half the size. Most of
 * what repeats there over five bytes are digits, of numbers, times and digests: naming where they stood takes as much
 * room as they do, and finding them takes time. See decision 0026.
 */
const DUMP_PARAMS = {
  [constants.ZSTD_c_minMatch]: 6,
  [constants.ZSTD_c_hashLog]: 16,
  [constants.ZSTD_c_chainLog]: 15,
};

export interface ZstdOptions {
  level: number;
  content: CodecOptions['content'] | undefined;
  longDistance: boolean;
  /** What the stream hands out at once, and how much of it may wait. */
  buffers: { chunkSize: number; highWaterMark: number };
  /** Of zstd's own; as many as there are cores, up to 2, when absent. One compresses without any. */
  threads?: number;
}

/** A transform, and what it should be given at once. */
export interface Compressor {
  transform: Transform;
  blocks: BlockSize;
}

/**
 * Compresses into one frame with a checksum. Where there are cores to share the work, zstd's own threads do it, on the
 * jobs of one block of up to 8 MiB at a time. The long window is searched by one thread: that takes memory enough. One
 * thread it is, too, where Node was built with a libzstd that has none of its own.
 */
export function zstdCompressor(
  { level, longDistance, content, buffers, threads }: ZstdOptions,
  create: typeof createZstdCompress = createZstdCompress,
): Compressor {
  const workers = threads ?? Math.min(MOST_THREADS, availableParallelism());
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
  } else if (content === 'database' && level === DEFAULT_LEVELS.zstd) {
    Object.assign(params, DUMP_PARAMS);
  }
  const inOneThread = () => ({ transform: create({ ...buffers, params }), blocks: { bytes: MEBIBYTE } });
  if (longDistance || workers < 2) return inOneThread();
  const shared = {
    ...params,
    [constants.ZSTD_c_nbWorkers]: workers,
    [constants.ZSTD_c_jobSize]: JOB_BYTES,
    [constants.ZSTD_c_overlapLog]: NO_OVERLAP,
  };
  // With threads a plain write may return before it has taken all of its input, which Node (24.x) takes for the end
  // of the stream. A write that flushes returns when all of it is compressed, and what comes of it handed out.
  const flush = constants.ZSTD_e_flush;
  try {
    return {
      transform: create({ ...buffers, params: shared, flush }),
      // The first job begins as soon as its bytes are there.
      blocks: { bytes: JOBS_AT_ONCE * JOB_BYTES, first: JOB_BYTES },
    };
  } catch (error) {
    // What libzstd says of a parameter that it was built without.
    if ((error as NodeJS.ErrnoException).code === 'ERR_ZLIB_INITIALIZATION_FAILED') return inOneThread();
    throw error;
  }
}
