import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { BackupError, type ErrorCode } from '../../domain/errors.ts';
import type { ByteStream } from '../../domain/ports.ts';
import { formatSize } from '../../domain/size.ts';
import { spaceAt } from '../../lib/mounts.ts';

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
  await assertRoom(directory, raw_size);
  const path = join(directory, 'archive.dump');
  try {
    await pipeline(raw, createWriteStream(path, { mode: 0o600, flags: 'wx' }), { signal });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    throw notUnpacked('DISK_FULL', directory, 'no space is left', raw_size, error);
  }
  return path;
}

/** Throws SPACE_LOW. @param raw_size of the archive, in bytes. */
export async function assertRoom(directory: string, raw_size: number): Promise<void> {
  const { free_bytes } = await spaceAt(directory);
  if (free_bytes >= raw_size) return;
  throw notUnpacked('SPACE_LOW', directory, `${formatSize(free_bytes)} are free`, raw_size);
}

export function notUnpacked(
  code: ErrorCode,
  directory: string,
  why: string,
  raw_size: number,
  cause?: unknown,
): BackupError {
  const takes = `the archive takes ${formatSize(raw_size)}`;
  return new BackupError(code, `the archive cannot be unpacked in ${directory}: ${why}, ${takes}`, {
    path: directory,
    hint: 'Free space there, or name a directory on a larger disk as scratch.directory.',
    cause,
  });
}
