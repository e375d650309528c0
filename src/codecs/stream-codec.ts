import type { Transform } from 'node:stream';
import { BackupError } from '../domain/errors.ts';
import type { ByteStream } from '../domain/ports.ts';
import { type BlockSize, blocksOf } from './blocks.ts';

/** What a decoder is given at once. */
const DECODER_BLOCK_BYTES = 1024 * 1024;
/** One that the thread is at, and one that is filled meanwhile, which it takes next. */
const BLOCKS = 2;
/** An input that is in the middle of something has this long to end with the iteration. */
const INPUT_GRACE_MS = 200;

/**
 * The bytes of `input` sent through a transform. An error of either side ends the iteration with it. A chunk is
 * copied before the next one is asked for, into memory that is used again: what passes here makes no garbage.
 *
 * The input is read ahead. When the iteration ends early, the input has been closed by the time that settles, but for
 * one that is stalled: that is closed when it gives its next chunk, or fails, and whoever opened it can see to that.
 * Of an iteration that waits for a stalled input, `return` waits with it, as of every generator.
 * @param size What the transform is given at once. Between two blocks its thread waits until this one has time to hand
 * the next over, so there should not be many.
 */
export async function* through(
  input: ByteStream,
  transform: Transform,
  size: BlockSize,
): AsyncGenerator<Buffer, void, undefined> {
  // Behind the end of what a decoder reads, nobody listens any more to what it says of the bytes that follow: it is told
  // by the write that brought them.
  transform.on('error', () => undefined);
  const fed = feed(input, transform, size);
  fed.catch((error: Error) => transform.destroy(error));
  try {
    for await (const chunk of transform) yield chunk as Buffer;
    await fed;
  } finally {
    transform.destroy();
    await settled(fed, INPUT_GRACE_MS);
  }
}

/** Resolves when the promise has settled, or when the time is over. */
async function settled(promise: Promise<unknown>, most_ms: number): Promise<void> {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, most_ms);
  promise.then(
    () => resolve(),
    () => resolve(),
  );
  await over;
  clearTimeout(timer);
}

/**
 * Writes the input to the transform and ends it when all of it has been taken in. Where the end comes while a chunk
 * is still queued, Node's zstd closes the frame with that chunk and then writes a second, empty one, which its own
 * decoder (24.x) refuses when a chunk ends within it.
 */
async function feed(input: ByteStream, transform: Transform, size: BlockSize): Promise<void> {
  const writing = new Writing(transform);
  const underWay: Promise<void>[] = [];
  const assertWanted = () => writing.assertOpen();
  for await (const block of blocksOf(input, { ...size, count: BLOCKS, assertWanted })) {
    underWay.push(writing.write(block));
    // The memory of this one is filled next.
    if (underWay.length === BLOCKS) await underWay.shift();
  }
  for (const written of underWay) await written;
  transform.end();
}

/** The writes to a transform, none of which stays without an answer. */
class Writing {
  readonly #transform: Transform;
  readonly #giveUps = new Set<(error: Error) => void>();

  constructor(transform: Transform) {
    this.#transform = transform;
    // A transform that fails, or that has found its end, forgets what is queued without a word.
    transform.once('close', () => {
      for (const giveUp of this.#giveUps) giveUp(this.#closed());
    });
  }

  /** Throws when the transform takes nothing any more. */
  assertOpen(): void {
    if (this.#transform.destroyed) throw this.#closed();
  }

  /** Resolves when the transform is done with the memory of the block. Rejects when it is closed before. */
  write(block: Buffer): Promise<void> {
    const written = new Promise<void>((resolve, reject) => {
      if (this.#transform.closed) throw this.#closed();
      this.#giveUps.add(reject);
      this.#transform.write(block, (error) => {
        this.#giveUps.delete(reject);
        if (error instanceof Error) reject(error);
        else resolve();
      });
    });
    // Whoever awaits it later sees the rejection; until then it must not count as unhandled.
    written.catch(() => undefined);
    return written;
  }

  #closed(): Error {
    const early = new Error('something follows its end');
    return this.#transform.errored ?? Object.assign(early, { code: 'ERR_STREAM_PREMATURE_CLOSE' });
  }
}

/** Like `through`, with the decoder's complaints told as ARCHIVE_CORRUPT. */
export async function* throughDecoder(
  input: ByteStream,
  transform: Transform,
  format: string,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* through(input, transform, { bytes: DECODER_BLOCK_BYTES });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (!/^(Z_|ZSTD_|ERR_)/.test(code ?? '')) throw error;
    throw new BackupError('ARCHIVE_CORRUPT', `the archive is not valid ${format}: ${message}`, {
      hint: 'The stored bytes were damaged or cut. Restore from another archive, and check the disk.',
      cause: error,
    });
  }
}
