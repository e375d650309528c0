import { BackupError } from '../../domain/errors.ts';
import { BLOCK_BYTES, isZeroBlock, type TarHeader, TarHeaderReader } from './tar-header.ts';
import { type PaxAttributes, readPax } from './tar-pax.ts';

const TYPES = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'link',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
} as const;

export type TarEntryType = (typeof TYPES)[keyof typeof TYPES];

export interface TarEntry {
  /** Raw bytes, without a trailing slash. */
  path: Buffer;
  type: TarEntryType;
  /** The lower 12 bits. */
  mode: number;
  /** The number of the owner where the archive was made; any whole number that the archive states. */
  uid: number;
  gid: number;
  /** Raw bytes: the name of the owner; empty where only the number is known. */
  uname: Buffer;
  gname: Buffer;
  /** Bytes of data; 0 for all but files. */
  size: number;
  /** Whole seconds, rounded towards the past. */
  mtime_s: number | bigint;
  /** Raw bytes: the target of a symbolic link, the first member of a hard link; empty for the rest. */
  link: Buffer;
}

/** Called in the order of the archive. Data comes in pieces that are valid during the call only. */
export interface TarHandler {
  entry(entry: TarEntry): void;
  data(piece: Buffer): void;
  entryEnd(): void;
}

/** A pax or long name header is kept whole; the longest path is 4 KiB. */
const MAX_META_BYTES = 1_048_576;
const SLASH = 0x2f;
const NONE = Buffer.alloc(0);

/**
 * Reads a tar stream as it comes, whatever the boundaries of its chunks, in constant memory: ustar, pax (`x`
 * and `g`: path, linkpath, size, mtime, owners), GNU long names (`L`, `K`) and base-256 numbers. Throws
 * ARCHIVE_CORRUPT where the bytes are no such archive.
 *
 * States: a header block is due (partial ones gather in `#block`); the data of an entry (`#dataLeft`); the
 * body of a meta header (`#meta`, also `#dataLeft`); padding to whole blocks; after two zero blocks, only
 * zeros to the end.
 */
export class TarReader {
  readonly #handler: TarHandler;
  readonly #headers = new TarHeaderReader();
  readonly #block = Buffer.alloc(BLOCK_BYTES);
  #blockFilled = 0;
  #dataLeft = 0;
  #paddingLeft = 0;
  #zeroBlocks = 0;
  #position = 0;
  #meta: { flag: string; body: Buffer } | undefined;
  #global: PaxAttributes = {};
  #local: PaxAttributes | undefined;
  #longPath: Buffer | undefined;
  #longLink: Buffer | undefined;

  constructor(handler: TarHandler) {
    this.#handler = handler;
  }

  write(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      const left = chunk.length - at;
      let used: number;
      if (this.#dataLeft > 0) {
        used = Math.min(this.#dataLeft, left);
        this.#readData(chunk.subarray(at, at + used));
      } else if (this.#paddingLeft > 0) {
        used = Math.min(this.#paddingLeft, left);
        this.#paddingLeft -= used;
      } else if (this.#blockFilled === 0 && left >= BLOCK_BYTES) {
        used = BLOCK_BYTES;
        this.#readBlock(chunk, at);
      } else {
        used = Math.min(BLOCK_BYTES - this.#blockFilled, left);
        chunk.copy(this.#block, this.#blockFilled, at, at + used);
        this.#blockFilled += used;
        if (this.#blockFilled === BLOCK_BYTES) {
          this.#blockFilled = 0;
          this.#readBlock(this.#block, 0);
        }
      }
      at += used;
      this.#position += used;
    }
  }

  /**
   * Throws DUMP_EMPTY when there was nothing, ARCHIVE_CORRUPT when the stream ended within an entry, and
   * DUMP_TRUNCATED when it ended between entries without the two zero blocks that close an archive.
   */
  end(): void {
    if (this.#position === 0) {
      throw new BackupError('DUMP_EMPTY', 'the tar archive has no bytes', { hint: DAMAGED_HINT });
    }
    if (this.#zeroBlocks >= 2) return;
    const isWithinEntry =
      this.#dataLeft > 0 || this.#paddingLeft > 0 || this.#blockFilled > 0 || this.#awaitsEntry();
    if (isWithinEntry) throw this.#corrupt('the archive ends within an entry');
    throw new BackupError(
      'DUMP_TRUNCATED',
      `the tar archive ends after ${this.#position} bytes without its end mark`,
      {
        hint: DAMAGED_HINT,
      },
    );
  }

  #readData(piece: Buffer): void {
    this.#dataLeft -= piece.length;
    if (this.#meta === undefined) {
      this.#handler.data(piece);
      if (this.#dataLeft === 0) this.#handler.entryEnd();
      return;
    }
    const { flag, body } = this.#meta;
    piece.copy(body, body.length - this.#dataLeft - piece.length);
    if (this.#dataLeft > 0) return;
    this.#meta = undefined;
    this.#applyMeta(flag, body);
  }

  #readBlock(bytes: Buffer, at: number): void {
    if (isZeroBlock(bytes, at)) {
      if (this.#awaitsEntry()) throw this.#corrupt('the archive ends within an entry');
      this.#zeroBlocks += 1;
      return;
    }
    if (this.#zeroBlocks > 0) throw this.#corrupt('there are bytes after the end mark');
    const header = this.#headers.read(bytes, at);
    if (typeof header === 'string') throw this.#corrupt(header);
    if (isMeta(header.flag)) this.#startMeta(header);
    else this.#startEntry(header);
  }

  #startMeta({ flag, size }: TarHeader): void {
    if (size > MAX_META_BYTES) throw this.#corrupt(`an extended header has ${size} bytes`);
    if (size === 0) {
      this.#applyMeta(flag, NONE);
      return;
    }
    this.#meta = { flag, body: Buffer.allocUnsafe(size) };
    this.#expect(size);
  }

  #applyMeta(flag: string, body: Buffer): void {
    switch (flag) {
      case 'L':
        this.#longPath = untilNul(body);
        return;
      case 'K':
        this.#longLink = untilNul(body);
        return;
      default: {
        const attributes = readPax(body, flag === 'g' ? this.#global : (this.#local ?? this.#global));
        if (typeof attributes === 'string') throw this.#corrupt(attributes);
        if (flag === 'g') this.#global = attributes;
        else this.#local = attributes;
      }
    }
  }

  #startEntry(header: TarHeader): void {
    const known = (TYPES as Record<string, TarEntryType>)[header.flag];
    if (known === undefined)
      throw this.#corrupt(`an entry has the unknown type ${JSON.stringify(header.flag)}`);
    const pax = this.#local ?? this.#global;
    const path = pax.path ?? this.#longPath ?? header.path;
    const link = pax.link ?? this.#longLink ?? header.link;
    // Before POSIX, a directory was a file whose name ends in a slash.
    const type = known === 'file' && path.at(-1) === SLASH ? 'directory' : known;
    const size = type === 'file' ? (pax.size ?? header.size) : 0;
    this.#local = undefined;
    this.#longPath = undefined;
    this.#longLink = undefined;
    this.#handler.entry({
      path: withoutTrailingSlash(path),
      type,
      mode: header.mode,
      uid: pax.uid ?? header.uid,
      gid: pax.gid ?? header.gid,
      uname: pax.uname ?? header.uname,
      gname: pax.gname ?? header.gname,
      size,
      mtime_s: pax.mtime_s ?? header.mtime_s,
      link: type === 'link' || type === 'symlink' ? link : NONE,
    });
    if (size === 0) this.#handler.entryEnd();
    else this.#expect(size);
  }

  #expect(size: number): void {
    this.#dataLeft = size;
    this.#paddingLeft = (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
  }

  /** Whether headers were read that belong to an entry still to come. */
  #awaitsEntry(): boolean {
    return this.#local !== undefined || this.#longPath !== undefined || this.#longLink !== undefined;
  }

  #corrupt(what: string): BackupError {
    return new BackupError(
      'ARCHIVE_CORRUPT',
      `the tar archive is damaged near byte ${this.#position}: ${what}`,
      {
        hint: DAMAGED_HINT,
      },
    );
  }
}

const DAMAGED_HINT = 'Do not rely on this archive: restore from another one, and take a new backup.';

function isMeta(flag: string): boolean {
  return flag === 'x' || flag === 'g' || flag === 'L' || flag === 'K';
}

function untilNul(body: Buffer): Buffer {
  const nul = body.indexOf(0);
  return nul === -1 ? body : body.subarray(0, nul);
}

function withoutTrailingSlash(path: Buffer): Buffer {
  let end = path.length;
  while (end > 1 && path[end - 1] === SLASH) end -= 1;
  // Most have none, and a view of each path would be garbage.
  return end === path.length ? path : path.subarray(0, end);
}
