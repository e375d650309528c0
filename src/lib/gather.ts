import { finished, type Readable } from 'node:stream';
import { BatchQueue } from './batch-queue.ts';

/**
 * The bytes of a pipe in batches of 256 KiB, see BatchQueue. Programs write 4 to 8 KiB at a time, and a reader that is
 * fast gets just these: sending them one by one through hash, codec and file costs more than the work on the bytes.
 * Throws what the stream fails with, behind the last byte before it.
 */
export async function* gather(stream: Readable): AsyncGenerator<Buffer, void, undefined> {
  const queue = new BatchQueue();
  const take = (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; ) {
      const copied = chunk.copy(queue.room(), 0, at);
      at += copied;
      queue.wrote(copied);
    }
    if (queue.isFull) stream.pause();
  };
  stream.on('data', take);
  const forget = finished(stream, { writable: false }, (error) => queue.end(error ?? undefined));
  try {
    yield* queue.batches(() => stream.resume());
  } finally {
    forget();
    stream.off('data', take);
    stream.destroy();
  }
}
