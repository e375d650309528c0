import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupError } from '../../domain/errors.ts';
import { PackOutput } from '../files/pack-output.ts';
import type { TarEntry } from '../files/tar-header.ts';

/** Whole blocks: the end of a block is never in the next chunk. */
const CHUNK_BYTES = 1_048_576;
const NS_PER_S = 1_000_000_000n;

/**
 * Packs the files of a dump into a tar, below one directory, in the order of the names, and removes each file once it
 * is packed: its room is wanted by the archive. Owners are left out, as the files belong to whoever extracts them.
 * A chunk is valid until the next one is asked for.
 * @param directory of the files. @param top what the directory is called in the tar, in ASCII.
 */
export async function* packDump(
  directory: string,
  top: string,
  names: AsyncIterable<string>,
): AsyncGenerator<Buffer, void, undefined> {
  const memory = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  const output = new PackOutput(() => memory);
  output.header(entryOf('Directory', top, 0, BigInt(Date.now()) * 1_000_000n));
  for await (const name of names) {
    const path = join(directory, name);
    const file = await open(path, 'r');
    try {
      const { size, mtimeNs } = await file.stat({ bigint: true });
      if (!output.hasRoomForEntry()) yield output.take();
      output.header(entryOf('File', `${top}/${name}`, Number(size), mtimeNs));
      for (let left = Number(size); left > 0; ) {
        if (output.room === 0) yield output.take();
        const { bytesRead } = await file.read(output.buffer, output.position, Math.min(left, output.room));
        if (bytesRead === 0) throw shrank(path);
        output.position += bytesRead;
        left -= bytesRead;
      }
      output.padBlock();
    } finally {
      await file.close();
    }
    await rm(path);
  }
  if (!output.hasRoomForEntry()) yield output.take();
  output.endOfArchive();
  yield output.take();
}

function entryOf(type: 'File' | 'Directory', path: string, size: number, mtime_ns: bigint): TarEntry {
  return {
    type,
    path,
    link: '',
    mode: type === 'File' ? 0o600 : 0o700,
    uid: 0,
    gid: 0,
    user: '',
    group: '',
    size,
    // Whole seconds need no header of their own.
    mtime_ns: mtime_ns - (mtime_ns % NS_PER_S),
    deviceMajor: 0,
    deviceMinor: 0,
  };
}

function shrank(path: string): BackupError {
  return new BackupError('IO_FAILED', `${path} became shorter while it was packed`, {
    path,
    hint: 'Nothing but cofre may write to its scratch directories: look for what does.',
  });
}
