import { archiveKey } from '../domain/archive-name.ts';
import { BackupError } from '../domain/errors.ts';
import type { Manifest } from '../domain/manifest.ts';
import type { ByteStream } from '../domain/ports.ts';
import type { EngineContext } from './context.ts';
import { Meter } from '../lib/digest.ts';
import { counted } from './verify.ts';

/** @param onBytes is told how many have passed so far. */
type OnBytes = (bytes: number) => void;

/** The bytes of an archive as they are stored. */
export function storedBytes(
  context: EngineContext,
  { filename }: Pick<Manifest, 'filename'>,
  signal: AbortSignal,
  onBytes: OnBytes = () => undefined,
): ByteStream {
  const key = archiveKey(filename);
  if (key === undefined)
    throw new BackupError('ARCHIVE_UNKNOWN', `${filename} is not the name of an archive`);
  return summed(context.store.get(key, signal), onBytes);
}

/**
 * The bytes of an archive before compression. Ends only when the stored ones were those of the manifest: what was
 * verified a moment ago may have changed since. Throws ARCHIVE_CORRUPT at the end, or what decoding throws.
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
