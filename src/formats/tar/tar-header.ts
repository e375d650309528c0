/** Reading the 512-byte header block of a tar entry: ustar, GNU and POSIX pax share it. */

export const BLOCK_BYTES = 512;

const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);
/** What POSIX and GNU put at 257. */
const USTAR = Buffer.from('ustar', 'latin1');
const USTAR_AT = 257;
const LINK_AT = 157;
const UNAME_AT = 265;
const GNAME_AT = 297;
const PREFIX_AT = 345;
const NONE: Buffer = Buffer.alloc(0);
const SLASH = 0x2f;
const CHECKSUM = { at: 148, bytes: 8 };

export interface TarHeader {
  /** The type flag, one character. */
  flag: string;
  /** Raw bytes, of the ustar prefix too; a copy. */
  path: Buffer;
  /** Raw bytes; a copy. */
  link: Buffer;
  mode: number;
  uid: number;
  gid: number;
  /** Raw bytes, which several headers may share; empty where the header has no name. */
  uname: Buffer;
  gname: Buffer;
  /** Bytes of data that follow. */
  size: number;
  mtime_s: number | bigint;
}

export function isZeroBlock(bytes: Buffer, at: number): boolean {
  return bytes[at] === 0 && ZERO_BLOCK.compare(bytes, at, at + BLOCK_BYTES) === 0;
}

/** Reads the headers of an archive. */
export class TarHeaderReader {
  readonly #uname = new OwnerField(UNAME_AT);
  readonly #gname = new OwnerField(GNAME_AT);

  /** The header at `at`; a string that says what is wrong with it otherwise. */
  read(bytes: Buffer, at: number): TarHeader | string {
    if (!checksumHolds(bytes, at)) return 'a header has a wrong checksum';
    const mode = readNumber(bytes, at + 100, 8);
    const uid = readNumber(bytes, at + 108, 8);
    const gid = readNumber(bytes, at + 116, 8);
    const size = readNumber(bytes, at + 124, 12);
    const mtime_s = readNumber(bytes, at + 136, 12);
    if (mode === undefined || size === undefined || mtime_s === undefined)
      return 'a header has a malformed number';
    if (uid === undefined || gid === undefined) return 'a header has a malformed owner';
    if (size < 0 || size > Number.MAX_SAFE_INTEGER) return 'a header has an impossible size';
    return {
      flag: String.fromCharCode(bytes[at + 156] ?? 0),
      path: readPath(bytes, at),
      link: copyOf(bytes, at + LINK_AT, fieldEnd(bytes, at + LINK_AT, 100)),
      mode: Number(mode) & 0o7777,
      uid: Number(uid),
      gid: Number(gid),
      uname: this.#uname.read(bytes, at),
      gname: this.#gname.read(bytes, at),
      size: Number(size),
      mtime_s,
    };
  }
}

/** The name of an owner, which is mostly that of the entry before. */
class OwnerField {
  readonly #offset: number;
  #last = NONE;

  constructor(offset: number) {
    this.#offset = offset;
  }

  /** POSIX and GNU have the names of owners at the same place; what came before them has none. */
  read(bytes: Buffer, at: number): Buffer {
    if (!isUstar(bytes, at)) return NONE;
    const from = at + this.#offset;
    const to = fieldEnd(bytes, from, 32);
    if (!isSame(this.#last, bytes, from, to)) this.#last = copyOf(bytes, from, to);
    return this.#last;
  }
}

function readPath(bytes: Buffer, at: number): Buffer {
  const nameEnd = fieldEnd(bytes, at, 100);
  const prefixAt = at + PREFIX_AT;
  // GNU has other things in the place of the prefix, and a space behind its mark.
  const hasPrefix = bytes[prefixAt] !== 0 && isUstar(bytes, at) && bytes[at + USTAR_AT + USTAR.length] === 0;
  if (!hasPrefix) return copyOf(bytes, at, nameEnd);
  const prefixEnd = fieldEnd(bytes, prefixAt, 155);
  const path = Buffer.allocUnsafe(prefixEnd - prefixAt + 1 + nameEnd - at);
  const slashAt = bytes.copy(path, 0, prefixAt, prefixEnd);
  path[slashAt] = SLASH;
  bytes.copy(path, slashAt + 1, at, nameEnd);
  return path;
}

function isUstar(bytes: Buffer, at: number): boolean {
  return isSame(USTAR, bytes, at + USTAR_AT, at + USTAR_AT + USTAR.length);
}

/** Where a text field ends: at its first NUL. */
function fieldEnd(bytes: Buffer, from: number, length: number): number {
  let end = from;
  while (end < from + length && bytes[end] !== 0) end += 1;
  return end;
}

/** A loop: of so few bytes it takes less time than a call that leaves JavaScript. */
function isSame(expected: Buffer, bytes: Buffer, from: number, to: number): boolean {
  if (expected.length !== to - from) return false;
  for (let index = 0; index < expected.length; index += 1) {
    if (expected[index] !== bytes[from + index]) return false;
  }
  return true;
}

/** A loop, as above, and without a view of the piece, which is garbage at once. */
function copyOf(bytes: Buffer, from: number, to: number): Buffer {
  if (from === to) return NONE;
  const copy = Buffer.allocUnsafe(to - from);
  for (let index = 0; index < copy.length; index += 1) copy[index] = bytes[from + index] ?? 0;
  return copy;
}

/** The sum of all bytes, with the checksum's own field counted as spaces. */
function checksumHolds(bytes: Buffer, at: number): boolean {
  let sum = CHECKSUM.bytes * 0x20;
  for (let index = at; index < at + CHECKSUM.at; index += 1) sum += bytes[index] ?? 0;
  for (let index = at + CHECKSUM.at + CHECKSUM.bytes; index < at + BLOCK_BYTES; index += 1)
    sum += bytes[index] ?? 0;
  return readNumber(bytes, at + CHECKSUM.at, CHECKSUM.bytes) === sum;
}

/** Octal digits, or GNU's base-256: the top bit set, the rest a two's complement number. */
function readNumber(bytes: Buffer, at: number, length: number): number | bigint | undefined {
  const first = bytes[at] ?? 0;
  if ((first & 0x80) !== 0) return readBase256(bytes, at, length);
  let value = 0;
  let index = at;
  while (index < at + length && bytes[index] === 0x20) index += 1;
  for (; index < at + length; index += 1) {
    const digit = bytes[index] ?? 0;
    if (digit === 0 || digit === 0x20) break;
    if (digit < 0x30 || digit > 0x37) return undefined;
    value = value * 8 + digit - 0x30;
  }
  return value;
}

function readBase256(bytes: Buffer, at: number, length: number): bigint {
  const first = bytes[at] ?? 0;
  let value = BigInt(first & 0x3f) - ((first & 0x40) === 0 ? 0n : 0x40n);
  for (let index = at + 1; index < at + length; index += 1) value = value * 256n + BigInt(bytes[index] ?? 0);
  return value;
}
