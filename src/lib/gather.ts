import type { Readable } from 'node:stream';
import { finished } from 'node:stream';

/** Large enough that what each batch costs on its way, whatever its size, does not count. */
const BATCH_BYTES = 256 * 1024;
/** Batches that wait for the reader before the stream is paused, and with it whoever writes into the pipe. */
const MAX_WAITING = 4;
/** How long bytes of a slow writer wait for their batch to fill up. */
const LINGER_MS = 20;

/**
 * The bytes of a pipe in batches of 256 KiB. Programs write 4 to 8 KiB at a time, and a reader that is fast gets
 * just these: sending them one by one through hash, codec and file costs more than the work on the bytes. The last
 * batch, and one of a writer that is slower than 20 ms a batch, is smaller; none is empty. At most 4 batches wait.
 * A batch is valid until the next one is asked for: then its memory is filled again.
 * Throws what the stream fails with, behind the last byte before it.
 */
export async function* gather(stream: Readable): AsyncGenerator<Buffer, void, undefined> {
  const waiting: Buffer[] = [];
  const free: Buffer[] = [];
  let batch: Buffer | undefined;
  let filled = 0;
  let linger: NodeJS.Timeout | undefined;
  let end: { error: Error | undefined } | undefined;
  let wake: (() => void) | undefined;

  const handOver = () => {
    clearTimeout(linger);
    linger = undefined;
    if (batch === undefined) return;
    waiting.push(batch.subarray(0, filled));
    batch = undefined;
    filled = 0;
    if (waiting.length >= MAX_WAITING) stream.pause();
    wake?.();
  };
  const take = (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; ) {
      batch ??= free.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES);
      const copied = chunk.copy(batch, filled, at);
      filled += copied;
      at += copied;
      if (filled === BATCH_BYTES) handOver();
    }
    if (batch !== undefined) linger ??= setTimeout(handOver, LINGER_MS);
  };
  stream.on('data', take);
  const forget = finished(stream, { writable: false }, (error) => {
    handOver();
    end = { error: error ?? undefined };
    wake?.();
  });
  try {
    for (;;) {
      const next = waiting.shift();
      if (next !== undefined) {
        if (waiting.length < MAX_WAITING) stream.resume();
        yield next;
        free.push(Buffer.from(next.buffer));
      } else if (end !== undefined) {
        if (end.error !== undefined) throw end.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        wake = undefined;
      }
    }
  } finally {
    clearTimeout(linger);
    forget();
    stream.off('data', take);
    stream.destroy();
  }
}
