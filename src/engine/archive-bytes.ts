import { archiveKey } from '../domain/archive-name.ts';
import { BackupError } from '../domain/errors.ts';
import type { Manifest } from '../domain/manifest.ts';
import type { ByteStream } from '../domain/ports.ts';
import type { EngineContext } from './context.ts';
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

/** The bytes of an archive before compression. */
export function rawBytes(
  context: EngineContext,
  manifest: Pick<Manifest, 'filename' | 'compression'>,
  signal: AbortSignal,
  onBytes: OnBytes = () => undefined,
): ByteStream {
  const stored = storedBytes(context, manifest, signal);
  return summed(context.openCodec(manifest.compression).decode(stored), onBytes);
}

/** The same bytes, with their sum so far told. */
export function summed(stream: ByteStream, onBytes: OnBytes): ByteStream {
  let bytes = 0;
  return counted(stream, (more) => {
    bytes += more;
    onBytes(bytes);
  });
}
