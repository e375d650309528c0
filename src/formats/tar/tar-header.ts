/** Reading the 512-byte header block of a tar entry: ustar, GNU and POSIX pax share it. */

export const BLOCK_BYTES = 512;

const ZERO_BLOCK = Buffer.alloc(BLOCK_BYTES);
const USTAR = Buffer.from('ustar\0', 'latin1');
const NONE = Buffer.alloc(0);
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
  /** Raw bytes; a copy, empty where the header has no name. */
  uname: Buffer;
  gname: Buffer;
  /** Bytes of data that follow. */
  size: number;
  mtime_s: number | bigint;
}

export function isZeroBlock(bytes: Buffer, at: number): boolean {
  return bytes[at] === 0 && ZERO_BLOCK.compare(bytes, at, at + BLOCK_BYTES) === 0;
}

/** The header at `at`; a string that says what is wrong with it otherwise. */
export function readHeader(bytes: Buffer, at: number): TarHeader | string {
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
    link: Buffer.from(textField(bytes, at + 157, 100)),
    mode: Number(mode) & 0o7777,
    uid: Number(uid),
    gid: Number(gid),
    uname: readOwner(bytes, at, 265),
    gname: readOwner(bytes, at, 297),
    size: Number(size),
    mtime_s,
  };
}

function readPath(bytes: Buffer, at: number): Buffer {
  const name = textField(bytes, at, 100);
  const isUstar = USTAR.compare(bytes, at + 257, at + 263) === 0;
  if (!isUstar || bytes[at + 345] === 0) return Buffer.from(name);
  const prefix = textField(bytes, at + 345, 155);
  const path = Buffer.allocUnsafe(prefix.length + 1 + name.length);
  prefix.copy(path);
  path[prefix.length] = SLASH;
  name.copy(path, prefix.length + 1);
  return path;
}

/** POSIX and GNU have the names of owners at the same place; what came before them has none. */
function readOwner(bytes: Buffer, at: number, offset: number): Buffer {
  if (bytes[at + offset] === 0 || USTAR.compare(bytes, at + 257, at + 262, 0, 5) !== 0) return NONE;
  return Buffer.from(textField(bytes, at + offset, 32));
}

function textField(bytes: Buffer, at: number, length: number): Buffer {
  const field = bytes.subarray(at, at + length);
  const nul = field.indexOf(0);
  return nul === -1 ? field : field.subarray(0, nul);
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
