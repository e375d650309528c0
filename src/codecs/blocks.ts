import type { ByteStream } from '../domain/ports.ts';

/**
 * The same bytes in blocks of `bytes`, only the last one shorter and none empty. They are copied into `count` pieces
 * of memory in turn: a block is written over when `count` further ones have been asked for, not before.
 * @param assertWanted is called as soon as there are bytes for a block, and throws when nobody wants it any more: the
 * rest of a block may be long in coming.
 */
export async function* blocksOf(
  input: ByteStream,
  bytes: number,
  count: number,
  assertWanted: () => void = () => undefined,
): AsyncGenerator<Buffer, void, undefined> {
  const ring: Buffer[] = [];
  let turn = 0;
  let filled = 0;
  const current = () => (ring[turn] ??= Buffer.allocUnsafeSlow(bytes));
  for await (const chunk of input) {
    if (chunk.length > 0) assertWanted();
    for (let at = 0; at < chunk.length; ) {
      const block = current();
      const copied = chunk.copy(block, filled, at);
      at += copied;
      filled += copied;
      if (filled < bytes) continue;
      filled = 0;
      turn = (turn + 1) % count;
      yield block;
    }
  }
  if (filled > 0) yield current().subarray(0, filled);
}
