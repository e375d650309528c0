import { createGunzip, createZstdDecompress } from 'node:zlib';
import { DEFAULT_LEVELS } from '../domain/compression-levels.ts';
import type { CompressionType } from '../domain/manifest.ts';
import type { Codec, CodecOptions } from '../domain/ports.ts';
import { parallelGzip } from './parallel-gzip.ts';
import { through, throughDecoder } from './stream-codec.ts';
import { zstdCompressor } from './zstd-compressor.ts';

/** What zlib hands out at once; its default of 16 KiB costs a thread-pool round trip per 16 KiB. */
const CHUNK_BYTES = 512 * 1024;

/** Some chunks may wait behind the transform, so that the thread that codes need not wait for whoever takes them. */
const BUFFERED = { chunkSize: CHUNK_BYTES, highWaterMark: 4 * CHUNK_BYTES };

/** The codec of a compression; decoding ignores the options. */
export function createCodec(
  type: CompressionType,
  { level, longDistance, content }: CodecOptions = {},
): Codec {
  switch (type) {
    case 'none':
      return { encode: (input) => input, decode: (input) => input };
    case 'gzip':
      return {
        encode: (input) => parallelGzip(input, level ?? DEFAULT_LEVELS.gzip),
        decode: (input) => throughDecoder(input, createGunzip(BUFFERED), type),
      };
    case 'zstd':
      return {
        encode: (input) => {
          const { transform, blocks } = zstdCompressor({
            level: level ?? DEFAULT_LEVELS.zstd,
            longDistance: longDistance === true,
            content,
            buffers: BUFFERED,
          });
          return through(input, transform, blocks);
        },
        decode: (input) => throughDecoder(input, createZstdDecompress(BUFFERED), type),
      };
    default:
      return type satisfies never;
  }
}
