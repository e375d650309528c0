import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BackupError } from '../domain/errors.ts';
import type { ByteStream } from '../domain/ports.ts';

/** The bytes of `input` sent through a transform. An error of either side ends the iteration with it. */
export async function* through(
  input: ByteStream,
  transform: Transform,
): AsyncGenerator<Buffer, void, undefined> {
  const fed = pipeline(takenWhole(input, transform), transform);
  // The iteration below rejects with the same error; this keeps the second copy from being unhandled.
  fed.catch(() => undefined);
  try {
    for await (const chunk of transform) yield chunk as Buffer;
    await fed;
  } finally {
    transform.destroy();
    await fed.catch(() => undefined);
  }
}

/**
 * The same bytes, with an end that waits until the transform has taken them all in. Where the end comes while a
 * chunk is still queued, Node's zstd closes the frame with that chunk and then writes a second, empty one, which
 * its own decoder (24.x) refuses when a chunk ends within it.
 */
async function* takenWhole(input: ByteStream, transform: Transform): AsyncGenerator<Buffer, void, undefined> {
  yield* input;
  // A transform that has failed closes instead, which the pipeline learns by itself.
  await new Promise<void>((resolve) => {
    transform.once('close', resolve);
    transform.write(Buffer.alloc(0), () => resolve());
  });
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
