import type { Transform } from 'node:stream';
import { BackupError } from '../domain/errors.ts';
import type { ByteStream } from '../domain/ports.ts';

/** What is copied to the transform at once. */
const SLOT_BYTES = 256 * 1024;
/** So that the thread that codes one has the next at hand. */
const SLOTS = 4;

/**
 * The bytes of `input` sent through a transform. An error of either side ends the iteration with it. A chunk is
 * copied before the next one is asked for, into memory that is used again: what passes here makes no garbage.
 */
export async function* through(
  input: ByteStream,
  transform: Transform,
): AsyncGenerator<Buffer, void, undefined> {
  const fed = feed(input, transform);
  fed.catch((error: Error) => transform.destroy(error));
  try {
    for await (const chunk of transform) yield chunk as Buffer;
    await fed;
  } finally {
    transform.destroy();
    await fed.catch(() => undefined);
  }
}

/**
 * Writes the input to the transform and ends it when all of it has been taken in. Where the end comes while a chunk
 * is still queued, Node's zstd closes the frame with that chunk and then writes a second, empty one, which its own
 * decoder (24.x) refuses when a chunk ends within it.
 */
async function feed(input: ByteStream, transform: Transform): Promise<void> {
  const slots = Array.from({ length: SLOTS }, () => new Slot());
  // A transform that fails, or that has found its end, forgets what is queued without a word.
  transform.once('close', () => {
    const error = transform.errored ?? closedEarly();
    for (const slot of slots) slot.giveUp(error);
  });
  let next = 0;
  for await (const chunk of input) {
    for (let at = 0; at < chunk.length; at += SLOT_BYTES) {
      const slot = slots[next] ?? new Slot();
      next = (next + 1) % SLOTS;
      await slot.taken;
      if (transform.closed) throw transform.errored ?? closedEarly();
      slot.write(chunk.subarray(at, at + SLOT_BYTES), transform);
    }
  }
  for (const { taken } of slots) await taken;
  transform.end();
}

function closedEarly(): Error {
  return Object.assign(new Error('something follows its end'), { code: 'ERR_STREAM_PREMATURE_CLOSE' });
}

/** Memory that is written to again once the transform has taken in what it holds. */
class Slot {
  #bytes: Buffer | undefined;
  #reject: (error: Error) => void = () => undefined;
  /** Rejects when the transform is closed before. */
  taken: Promise<void> = Promise.resolve();

  write(chunk: Buffer, transform: Transform): void {
    this.#bytes ??= Buffer.allocUnsafeSlow(SLOT_BYTES);
    const copied = this.#bytes.subarray(0, chunk.copy(this.#bytes));
    this.taken = new Promise((resolve, reject) => {
      this.#reject = reject;
      transform.write(copied, (error) => (error instanceof Error ? reject(error) : resolve()));
    });
    // Whoever awaits it later sees the rejection; until then it must not count as unhandled.
    this.taken.catch(() => undefined);
  }

  giveUp(error: Error): void {
    this.#reject(error);
  }
}

/** Like `through`, with the decoder's complaints told as ARCHIVE_CORRUPT. */
export async function* throughDecoder(
  input: ByteStream,
  transform: Transform,
  format: string,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* through(input, transform);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!/^(Z_|ZSTD_|ERR_)/.test(code ?? '')) throw error;
    throw new BackupError('ARCHIVE_CORRUPT', `the archive is not valid ${format}: ${message}`, {
      hint: 'The stored bytes were damaged or cut. Restore from another archive, and check the disk.',
      cause: error,
    });
  }
}
