import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { PackOutput } from './pack-output.ts';
import type { RawName } from './raw-name.ts';
import type { RemarkSink } from './remarks.ts';
import type { TarEntryType } from './header-block.ts';
import type { TarEntry } from './tar-header.ts';
import { codeOf, isGone, type WalkedFile } from './walk.ts';

/**
 * Not through a symbolic link that took the file's place since its directory was read, and without waiting
 * for the writer of a FIFO that did.
 */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** What the entries of an archive are packed with. */
export interface Packing {
  output: PackOutput;
  remarks: RemarkSink;
  /** What a header says of an entry. */
  describe: (type: TarEntryType, member: RawName, link: RawName, stat: BigIntStats) => TarEntry;
  /** Writes a hard link in place of an inode that is in the archive already; false when it is not. */
  linked: (member: RawName, stat: BigIntStats) => boolean;
}

/**
 * Packs one regular file as it is when opened: a header and exactly the bytes promised there, or a hard link where
 * it is in the archive under another name. It may be another file than the walk met (programs save by renaming).
 *
 * - no file: nothing in the archive, and the walk is told, or `changed` when it had seen a file there;
 * - vanished: `changed`, nothing in the archive;
 * - cannot be opened, or fails at the first read: `incomplete`, nothing in the archive;
 * - grew (cut at the promised size) or was written to: `changed`;
 * - shrank, or fails at a later read: padded with zeros to the promised size, `incomplete`.
 *
 * Returns the attributes of what was archived with its data, undefined when nothing was.
 */
export function* packFile(
  found: WalkedFile,
  { output, remarks, describe, linked }: Packing,
): Generator<Buffer, BigIntStats | undefined, undefined> {
  const opened = open(found, remarks);
  if (opened === undefined) return undefined;
  const { fd, stat } = opened;
  try {
    if (linked(found.member, stat)) return undefined;
    const headerAt = output.position;
    output.header(describe('File', found.member, '', stat));
    const size = Number(stat.size);
    let left = size;
    let readAtOnce = size === 0;
    while (left > 0) {
      if (output.room === 0) yield output.take();
      // One byte more than promised shows whether the file grew; what follows overwrites it.
      const wanted = Math.min(output.room, left + 1);
      const got = read(fd, output, wanted);
      if (typeof got === 'string' || got === 0) {
        if (left === size && got !== 0) {
          // Nothing was yielded since the header: an entry has its first data in the same chunk.
          output.position = headerAt;
          remarks.incomplete(found.member, `unreadable: ${got}`);
          return undefined;
        }
        const fault = got === 0 ? 'shrank while it was read' : `read error ${got}`;
        remarks.incomplete(found.member, `${fault}: padded with zeros from byte ${size - left} of ${size}`);
        yield* padFile(output, left);
        return stat;
      }
      readAtOnce = wanted > size && got === size;
      const kept = Math.min(got, left);
      output.position += kept;
      left -= kept;
    }
    output.padBlock();
    // A file that came whole from one read, and then ended, was not written to in between.
    const change = readAtOnce ? undefined : changeSince(fd, stat);
    if (change !== undefined) remarks.changed(found.member, change);
    return stat;
  } finally {
    closeSync(fd);
  }
}

function open(found: WalkedFile, remarks: RemarkSink): { fd: number; stat: BigIntStats } | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(found.path, OPEN_FLAGS);
    const stat = fstatSync(fd, { bigint: true });
    if (stat.isFile()) return { fd, stat };
    isOther(found, remarks);
  } catch (error) {
    const code = codeOf(error);
    if (isGone(code)) remarks.changed(found.member, 'vanished before it was read');
    // What O_NOFOLLOW says of a symbolic link, and any open of a socket.
    else if (code === 'ELOOP' || code === 'ENXIO') isOther(found, remarks);
    else remarks.incomplete(found.member, `unreadable: ${code}`);
  }
  if (fd !== undefined) closeSync(fd);
  return undefined;
}

function isOther(found: WalkedFile, remarks: RemarkSink): void {
  if (found.isSeen) remarks.changed(found.member, 'replaced before it was read');
  else found.isOther = true;
}

/** The number of bytes read, 0 at the end of the file, or the code of the error. */
function read(fd: number, output: PackOutput, wanted: number): number | string {
  try {
    return readSync(fd, output.buffer, output.position, wanted, null);
  } catch (error) {
    return codeOf(error);
  }
}

function* padFile(output: PackOutput, bytes: number): Generator<Buffer, void, undefined> {
  for (let left = bytes; left > 0; ) {
    if (output.room === 0) yield output.take();
    const zeros = Math.min(output.room, left);
    output.zeros(zeros);
    left -= zeros;
  }
  output.padBlock();
}

function changeSince(fd: number, before: BigIntStats): string | undefined {
  const now = fstatSync(fd, { bigint: true });
  if (now.size > before.size) return `grew while it was read: cut at ${before.size} bytes`;
  if (now.mtimeNs !== before.mtimeNs) return 'written to while it was read';
  return undefined;
}
