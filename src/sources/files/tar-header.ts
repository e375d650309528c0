import { Header } from 'tar/header';
import { isAscii, type RawName, utf8Text } from './raw-name.ts';

export type TarEntryType =
  | 'File'
  | 'Directory'
  | 'SymbolicLink'
  | 'Link'
  | 'FIFO'
  | 'CharacterDevice'
  | 'BlockDevice';

export interface TarEntry {
  type: TarEntryType;
  /** Without a trailing slash; directories get theirs here. */
  path: RawName;
  /** The target of a symbolic link, the first member of a hard link; empty for the rest. */
  link: RawName;
  /** The lower 12 bits count. */
  mode: number;
  uid: number;
  gid: number;
  user: string;
  group: string;
  /** Bytes; 0 for all but files. */
  size: number;
  mtime_ns: bigint;
  deviceMajor: number;
  deviceMinor: number;
}

const BLOCK = 512;
const NAME = { at: 0, bytes: 100 };
const LINK = { at: 157, bytes: 100 };
const PREFIX = { at: 345, bytes: 155 };
const SIZE_AT = 124;
const MTIME_AT = 136;
const CHECKSUM_AT = 148;
/** What a field of 12 bytes holds in octal: 8 GiB, and the year 2242. */
const MAX_OCTAL = 0o77777777777;
const MAX_SHORT_OCTAL = 0o7777777777;
const NS_PER_S = 1_000_000_000n;

/** Room that the headers of one entry never exceed: two paths of PATH_MAX (4,096) and their own headers. */
export const MAX_HEADER_BYTES = 32_768;

/** The block of an entry without its names, size and time: as of most entries before and after it. */
interface Template {
  entry: TarEntry;
  block: Buffer;
  sum: number;
}

/**
 * Writes tar headers. Numbers are formatted by the `Header` of the npm package `tar` (octal, or GNU's base-256
 * where octal is too small: sizes over 8 GiB, times before 1970); names are written here, as bytes:
 *
 * - ASCII that fits the name field, or name and ustar prefix, stands there;
 * - other UTF-8 stands in a pax header (`path`, `linkpath`), which every current tar reads as UTF-8;
 * - bytes that are not UTF-8 have no place in pax: they stand in the header as they are, and where they do
 *   not fit in GNU's long name entries (`L`, `K`), which GNU tar and bsdtar extract to the same bytes.
 *
 * Format: https://www.gnu.org/software/tar/manual/html_node/Standard.html and POSIX pax.
 */
export class TarHeaderWriter {
  readonly #header = new Header();
  readonly #templates = new Map<TarEntryType, Template>();

  /** Writes all headers of an entry at `at`; returns where its data begins. */
  write(out: Buffer, at: number, entry: TarEntry): number {
    const path = entry.type === 'Directory' ? `${entry.path}/` : entry.path;
    const split = splitPath(path);
    const afterLongNames = this.#writeLongNames(out, at, path, entry, split !== undefined);
    this.#writeEntryBlock(out, afterLongNames, entry, split ?? { prefix: '', name: path });
    return afterLongNames + BLOCK;
  }

  #writeLongNames(out: Buffer, at: number, path: RawName, entry: TarEntry, pathFits: boolean): number {
    const { link } = entry;
    const linkFits = link.length <= LINK.bytes;
    if (pathFits && linkFits && isAscii(path) && isAscii(link)) return at;
    if (utf8Text(path) !== undefined && utf8Text(link) !== undefined) {
      const records = [
        pathFits && isAscii(path) ? '' : paxRecord('path', path),
        linkFits && isAscii(link) ? '' : paxRecord('linkpath', link),
        // Beside a pax header GNU tar's --compare takes whole seconds for a difference. Of a time before 1970 the
        // header's whole seconds have to do: bsdtar reads its fraction towards the wrong side.
        entry.mtime_ns % NS_PER_S === 0n || entry.mtime_ns < 0n
          ? ''
          : paxRecord('mtime', decimalSeconds(entry.mtime_ns)),
      ];
      return this.#writeMetaEntry(out, at, 'ExtendedHeader', 'PaxHeader', records.join(''));
    }
    let next = at;
    if (!linkFits) next = this.#writeLongName(out, next, 'NextFileHasLongLinkpath', link);
    if (!pathFits) next = this.#writeLongName(out, next, 'NextFileHasLongPath', path);
    return next;
  }

  #writeLongName(
    out: Buffer,
    at: number,
    type: 'NextFileHasLongPath' | 'NextFileHasLongLinkpath',
    name: RawName,
  ): number {
    return this.#writeMetaEntry(out, at, type, '././@LongLink', `${name}\0`);
  }

  #writeMetaEntry(out: Buffer, at: number, type: Header['type'], name: string, body: RawName): number {
    const header = this.#header;
    header.type = type;
    header.mode = 0o644;
    header.uid = 0;
    header.gid = 0;
    header.uname = '';
    header.gname = '';
    header.size = body.length;
    header.mtime = new Date(0);
    header.devmaj = 0;
    header.devmin = 0;
    finishBlock(out, at, this.#encode(out, at), '', name, '');
    const end = at + BLOCK + padded(body.length);
    out.write(body, at + BLOCK, 'latin1');
    out.fill(0, at + BLOCK + body.length, end);
    return end;
  }

  #writeEntryBlock(out: Buffer, at: number, entry: TarEntry, split: SplitPath): void {
    const mtime_s = wholeSeconds(entry.mtime_ns);
    let sum: number;
    if (entry.size <= MAX_OCTAL && mtime_s >= 0 && mtime_s <= MAX_OCTAL) {
      const template = this.#templateOf(entry);
      template.block.copy(out, at);
      sum =
        template.sum + writeOctal(out, at + SIZE_AT, entry.size) + writeOctal(out, at + MTIME_AT, mtime_s);
    } else {
      sum = this.#encodeNumbers(out, at, entry, entry.size, mtime_s);
    }
    finishBlock(out, at, sum, split.prefix, split.name, entry.link);
  }

  #templateOf(entry: TarEntry): Template {
    const known = this.#templates.get(entry.type);
    if (known !== undefined && isAlike(known.entry, entry)) return known;
    const block = Buffer.alloc(BLOCK);
    const whole = this.#encodeNumbers(block, 0, entry, 0, 0);
    // Size and time stand side by side.
    const sum = whole - sumOf(block, SIZE_AT, CHECKSUM_AT);
    const template = { entry, block, sum };
    this.#templates.set(entry.type, template);
    return template;
  }

  #encodeNumbers(out: Buffer, at: number, entry: TarEntry, size: number, mtime_s: number): number {
    const header = this.#header;
    header.type = entry.type;
    header.mode = entry.mode & 0o7777;
    header.uid = entry.uid;
    header.gid = entry.gid;
    header.uname = entry.user;
    header.gname = entry.group;
    header.size = size;
    header.mtime = new Date(mtime_s * 1_000);
    header.devmaj = entry.deviceMajor;
    header.devmin = entry.deviceMinor;
    return this.#encode(out, at);
  }

  /** `Header` takes names as text only: it encodes without them. Returns the sum of the block so far. */
  #encode(out: Buffer, at: number): number {
    out.fill(0, at, at + BLOCK);
    this.#header.encode(out, at);
    out.fill(0x20, at + CHECKSUM_AT, at + CHECKSUM_AT + 8);
    return sumOf(out, at, at + BLOCK);
  }
}

/** Adds the names, and then the checksum, to a block with this sum so far. */
function finishBlock(
  out: Buffer,
  at: number,
  sumSoFar: number,
  prefix: RawName,
  name: RawName,
  link: RawName,
): void {
  let sum = sumSoFar + writeName(out, at + NAME.at, NAME.bytes, name);
  if (link !== '') sum += writeName(out, at + LINK.at, LINK.bytes, link);
  if (prefix !== '') sum += writeName(out, at + PREFIX.at, PREFIX.bytes, prefix);
  out.write(`${sum.toString(8).padStart(6, '0')}\0`, at + CHECKSUM_AT, 7, 'latin1');
}

/** As much of the name as the field takes. Returns the sum of its bytes. */
function writeName(out: Buffer, at: number, bytes: number, name: RawName): number {
  return sumOf(out, at, at + out.write(name, at, bytes, 'latin1'));
}

/** A number as `Header` writes it, over what it wrote for 0 in a field of 12 bytes. Returns the sum of its bytes. */
function writeOctal(out: Buffer, at: number, value: number): number {
  const isShort = value <= MAX_SHORT_OCTAL;
  let left = value;
  let sum = isShort ? 0x20 : 0;
  if (isShort) out[at + 10] = 0x20;
  for (let digits = isShort ? 10 : 11; digits > 0; digits -= 1) {
    const digit = 0x30 + (left % 8);
    out[at + digits - 1] = digit;
    sum += digit;
    left = Math.floor(left / 8);
  }
  return sum;
}

function sumOf(bytes: Buffer, from: number, to: number): number {
  let sum = 0;
  for (let index = from; index < to; index += 1) sum += bytes[index] ?? 0;
  return sum;
}

/** Whether two entries of a type differ in nothing but names, size and time. */
function isAlike(one: TarEntry, other: TarEntry): boolean {
  return (
    one.mode === other.mode &&
    one.uid === other.uid &&
    one.gid === other.gid &&
    one.user === other.user &&
    one.group === other.group &&
    one.deviceMajor === other.deviceMajor &&
    one.deviceMinor === other.deviceMinor
  );
}

/** `<length> <key>=<value>\n`, where the length counts its own digits. */
function paxRecord(key: string, value: RawName): RawName {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length += 1;
  return `${length}${rest}`;
}

/** Rounded towards the past, as every tar does. */
function wholeSeconds(ns: bigint): number {
  const truncated = ns / NS_PER_S;
  return Number(ns < truncated * NS_PER_S ? truncated - 1n : truncated);
}

function decimalSeconds(ns: bigint): string {
  const size = ns < 0n ? -ns : ns;
  const fraction = String(size % NS_PER_S).padStart(9, '0');
  return `${ns < 0n ? '-' : ''}${size / NS_PER_S}.${fraction}`;
}

/** A length rounded up to whole blocks. */
export function padded(bytes: number): number {
  return Math.ceil(bytes / BLOCK) * BLOCK;
}

interface SplitPath {
  prefix: RawName;
  name: RawName;
}

/** The path in the name field, or divided between prefix and name; undefined when it fits neither way. */
function splitPath(path: RawName): SplitPath | undefined {
  if (path.length <= NAME.bytes) return { prefix: '', name: path };
  const slash = path.indexOf('/', path.length - 1 - NAME.bytes);
  // The last character may be the slash of a directory: nothing would be left for the name.
  if (slash <= 0 || slash > PREFIX.bytes || slash === path.length - 1) return undefined;
  return { prefix: path.slice(0, slash), name: path.slice(slash + 1) };
}
