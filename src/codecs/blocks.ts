import type { ByteStream } from '../domain/ports.ts';

/** How much of an input is handed on at once. */
export interface BlockSize {
  /** Of a block, but for the first ones and the last. */
  bytes: number;
  /** Bytes of the first block: each further one has twice as many, up to `bytes`. Default: `bytes`. */
  first?: number;
}

export interface BlockOptions extends BlockSize {
  /** Pieces of memory, taken in turn: a block is written over when so many further ones have been asked for. */
  count: number;
  /**
   * Called as soon as there are bytes for a block; throws when nobody wants it any more: the rest of a block may be
   * long in coming.
   */
  assertWanted?: () => void;
}

/** The same bytes, copied into blocks of the size that is asked for; the last one may be shorter, and none is empty. */
export async function* blocksOf(
  input: ByteStream,
  { bytes, first = bytes, count, assertWanted = () => undefined }: BlockOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const ring: Buffer[] = [];
  let turn = 0;
  let filled = 0;
  let wanted = Math.min(first, bytes);
  const current = () => (ring[turn] ??= Buffer.allocUnsafeSlow(bytes));
  for await (const chunk of input) {
    if (chunk.length > 0) assertWanted();
    for (let at = 0; at < chunk.length; ) {
      const copied = chunk.copy(current(), filled, at, at + Math.min(chunk.length - at, wanted - filled));
      at += copied;
      filled += copied;
      if (filled < wanted) continue;
      const block = current().subarray(0, filled);
      wanted = Math.min(bytes, wanted * 2);
      filled = 0;
      turn = (turn + 1) % count;
      yield block;
    }
  }
  if (filled > 0) yield current().subarray(0, filled);
}
