import { constants, createGunzip, createGzip, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { DEFAULT_LEVELS } from '../domain/compression-levels.ts';
import type { CompressionType } from '../domain/manifest.ts';
import type { Codec } from '../domain/ports.ts';
import { through, throughDecoder } from './stream-codec.ts';

/** What zlib hands out at once; its default of 16 KiB costs a thread-pool round trip per 16 KiB. */
const CHUNK_BYTES = 256 * 1024;

/** The codec of a compression; decoding ignores the level. */
export function createCodec(type: CompressionType, level?: number): Codec {
  switch (type) {
    case 'none':
      return { encode: (input) => input, decode: (input) => input };
    case 'gzip':
      return {
        encode: (input) =>
          through(input, createGzip({ level: level ?? DEFAULT_LEVELS.gzip, chunkSize: CHUNK_BYTES })),
        decode: (input) => throughDecoder(input, createGunzip({ chunkSize: CHUNK_BYTES }), type),
      };
    case 'zstd':
      return {
        encode: (input) =>
          through(
            input,
            createZstdCompress({
              chunkSize: CHUNK_BYTES,
              params: {
                [constants.ZSTD_c_compressionLevel]: level ?? DEFAULT_LEVELS.zstd,
                // Off by default; without it a flipped bit can decode without any error.
                [constants.ZSTD_c_checksumFlag]: 1,
              },
            }),
          ),
        decode: (input) => throughDecoder(input, createZstdDecompress({ chunkSize: CHUNK_BYTES }), type),
      };
    default:
      return type satisfies never;
  }
}
