import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupError } from '../../domain/errors.ts';
import { MAX_HEADER_BYTES, padded, type TarEntry, TarHeaderWriter } from '../files/tar-header.ts';

/** Whole blocks: the end of a block is never in the next chunk. */
const CHUNK_BYTES = 1_048_576;
/** Tapes were written in records of 20 blocks; every tar still pads its archives to them. */
const RECORD_BYTES = 10_240;
const END_BLOCKS_BYTES = 1_024;
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
  const headers = new TarHeaderWriter();
  const chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  let at = 0;
  let taken = 0;
  const take = () => {
    const full = chunk.subarray(0, at);
    taken += at;
    at = 0;
    return full;
  };
  const zeros = (bytes: number) => {
    chunk.fill(0, at, at + bytes);
    at += bytes;
  };
  at = headers.write(chunk, at, entryOf('Directory', top, 0, BigInt(Date.now()) * 1_000_000n));
  for await (const name of names) {
    const path = join(directory, name);
    const file = await open(path, 'r');
    try {
      const { size, mtimeNs } = await file.stat({ bigint: true });
      if (CHUNK_BYTES - at < MAX_HEADER_BYTES) yield take();
      at = headers.write(chunk, at, entryOf('File', `${top}/${name}`, Number(size), mtimeNs));
      for (let left = Number(size); left > 0; ) {
        if (at === CHUNK_BYTES) yield take();
        const { bytesRead } = await file.read(chunk, at, Math.min(left, CHUNK_BYTES - at));
        if (bytesRead === 0) throw shrank(path);
        at += bytesRead;
        left -= bytesRead;
      }
      zeros(padded(at) - at);
    } finally {
      await file.close();
    }
    await rm(path);
  }
  if (CHUNK_BYTES - at < RECORD_BYTES + END_BLOCKS_BYTES) yield take();
  const end = taken + at + END_BLOCKS_BYTES;
  zeros(END_BLOCKS_BYTES + Math.ceil(end / RECORD_BYTES) * RECORD_BYTES - end);
  yield take();
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
