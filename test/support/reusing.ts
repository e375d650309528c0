import type { ByteStream } from '../../src/domain/ports.ts';

/** What no test writes, so that it shows where it should not be. */
const OVERWRITTEN = 0xa5;

/**
 * The same chunks, each in one memory that is written over when the next is asked for, the last one too. Whoever
 * keeps a chunk for longer without copying it has other bytes then.
 */
export async function* reusing(
  chunks: Iterable<Buffer> | ByteStream,
): AsyncGenerator<Buffer, void, undefined> {
  let memory = Buffer.alloc(0);
  for await (const chunk of chunks) {
    if (memory.length < chunk.length) memory = Buffer.allocUnsafeSlow(chunk.length);
    chunk.copy(memory);
    yield memory.subarray(0, chunk.length);
    memory.fill(OVERWRITTEN);
  }
}

/** The buffer in pieces of that many bytes. */
export function piecesOf(data: Buffer, bytes: number): Buffer[] {
  const pieces = Array.from({ length: Math.ceil(data.length / bytes) }, (_, piece) => piece * bytes);
  return pieces.map((at) => data.subarray(at, at + bytes));
}

/** All bytes of a stream. Each chunk is copied, for it is valid only until the next is asked for. */
export async function collected(stream: ByteStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
