import type { ByteStream } from '../domain/ports.ts';

/**
 * The same bytes in blocks of `bytes`, only the last one shorter and none empty. A chunk that is a whole block passes
 * as it is; others are copied together.
 */
export async function* blocksOf(input: ByteStream, bytes: number): AsyncGenerator<Buffer, void, undefined> {
  let block: Buffer | undefined;
  let filled = 0;
  for await (const chunk of input) {
    for (let at = 0; at < chunk.length; ) {
      if (filled === 0 && chunk.length - at >= bytes) {
        yield chunk.subarray(at, at + bytes);
        at += bytes;
        continue;
      }
      block ??= Buffer.allocUnsafeSlow(bytes);
      const copied = chunk.copy(block, filled, at);
      at += copied;
      filled += copied;
      if (filled < bytes) continue;
      yield block;
      // Whoever took it may still read it.
      block = undefined;
      filled = 0;
    }
  }
  if (block !== undefined && filled > 0) yield block.subarray(0, filled);
}
