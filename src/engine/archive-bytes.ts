import { archiveKey } from '../domain/archive-name.ts';
import { BackupError } from '../domain/errors.ts';
import type { Manifest } from '../domain/manifest.ts';
import type { ByteStream, Inspector } from '../domain/ports.ts';
import type { EngineContext } from './context.ts';
import { Meter } from '../lib/digest.ts';

/** Told before an archive is read, and of the stored bytes as they are read. */
export interface ReadProgress {
  begin(filename: string, size_bytes: number): void;
  advance(bytes: number): void;
}

/** Told how many have passed so far, or of each chunk how many it has. */
type OnBytes = (bytes: number) => void;

/** The bytes of an archive as they are stored. */
export function storedBytes(
  context: EngineContext,
  { filename }: Pick<Manifest, 'filename'>,
  signal: AbortSignal,
): ByteStream {
  const key = archiveKey(filename);
  if (key === undefined)
    throw new BackupError('ARCHIVE_UNKNOWN', `${filename} is not the name of an archive`);
  return context.store.get(key, signal);
}

/**
 * The bytes of an archive before compression, their sum so far told. Ends only when the stored ones were those of the
 * manifest: what was verified a moment ago may have changed since. Throws ARCHIVE_CORRUPT at the end, or what decoding
 * throws.
 */
export async function* rawBytes(
  context: EngineContext,
  manifest: Pick<Manifest, 'filename' | 'compression' | 'hash'>,
  signal: AbortSignal,
  onBytes: OnBytes = () => undefined,
): ByteStream {
  const { filename, compression, hash } = manifest;
  const meter = new Meter();
  const stored = meter.tap(storedBytes(context, manifest, signal));
  yield* summed(context.openCodec(compression).decode(stored), onBytes);
  if (meter.sha256() === hash) return;
  throw new BackupError('ARCHIVE_CORRUPT', `${filename} is not what it was when it was verified`, {
    path: filename,
    hint: 'Something changed the file, or the disk does not read the same twice: `cofre verify` tells which archives are whole.',
  });
}

/** The same bytes, with their sum so far told. */
export function summed(stream: ByteStream, onBytes: OnBytes): ByteStream {
  let bytes = 0;
  return counted(stream, (more) => {
    bytes += more;
    onBytes(bytes);
  });
}

/** For the pass-through of a capture: the same bytes, seen by the inspector. */
export async function* inspected(
  stream: ByteStream,
  inspector: Inspector,
  onBytes: OnBytes,
): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of stream) {
    await inspector.write(chunk);
    onBytes(chunk.length);
    yield chunk;
  }
}

/** The same bytes, with each chunk's length told. */
export async function* counted(
  stream: ByteStream,
  onBytes: OnBytes,
): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of stream) {
    onBytes(chunk.length);
    yield chunk;
  }
}
