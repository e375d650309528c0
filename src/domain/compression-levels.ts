import type { CompressionType } from './manifest.ts';

/** The level of each compression that has one, where none is named. */
export const DEFAULT_LEVELS = { gzip: 6, zstd: 3 } as const satisfies Partial<
  Record<CompressionType, number>
>;
