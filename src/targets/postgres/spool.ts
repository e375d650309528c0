import { createWriteStream } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { BackupError } from '../../domain/errors.ts';
import type { ByteStream } from '../../domain/ports.ts';
import { formatSize } from '../../domain/size.ts';

/**
 * Writes an archive into a file of a temporary directory: parallel jobs need to seek in it. Throws SPACE_LOW before
 * anything is written, DISK_FULL, or what the stream throws.
 */
export async function spool(
  raw: ByteStream,
  raw_size: number,
  directory: string,
  signal: AbortSignal,
): Promise<string> {
  const { bavail, bsize } = await statfs(directory);
  const free_bytes = bavail * bsize;
  if (free_bytes < raw_size) {
    const sizes = `${formatSize(free_bytes)} are free, the archive takes ${formatSize(raw_size)}`;
    throw new BackupError('SPACE_LOW', `the archive cannot be unpacked in ${directory}: ${sizes}`, {
      path: directory,
      hint: 'Free space there, or name a directory on a larger disk with TMPDIR.',
    });
  }
  const path = join(directory, 'archive.dump');
  await pipeline(raw, createWriteStream(path, { mode: 0o600, flags: 'wx' }), { signal });
  return path;
}
