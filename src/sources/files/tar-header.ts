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
const CHECKSUM_AT = 148;
const NS_PER_S = 1_000_000_000n;

/** Room that the headers of one entry never exceed: two paths of PATH_MAX (4,096) and their own headers. */
export const MAX_HEADER_BYTES = 32_768;

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
    this.#encode(out, at, '', name, '');
    const end = at + BLOCK + padded(body.length);
    out.write(body, at + BLOCK, 'latin1');
    out.fill(0, at + BLOCK + body.length, end);
    return end;
  }

  #writeEntryBlock(out: Buffer, at: number, entry: TarEntry, split: SplitPath): void {
    const header = this.#header;
    header.type = entry.type;
    header.mode = entry.mode & 0o7777;
    header.uid = entry.uid;
    header.gid = entry.gid;
    header.uname = entry.user;
    header.gname = entry.group;
    header.size = entry.size;
    header.mtime = new Date(wholeSeconds(entry.mtime_ns) * 1_000);
    header.devmaj = entry.deviceMajor;
    header.devmin = entry.deviceMinor;
    this.#encode(out, at, split.prefix, split.name, entry.link);
  }

  /** `Header` takes names as text only: it encodes without them, and they and the checksum are added here. */
  #encode(out: Buffer, at: number, prefix: RawName, name: RawName, link: RawName): void {
    out.fill(0, at, at + BLOCK);
    this.#header.encode(out, at);
    out.write(name, at + NAME.at, NAME.bytes, 'latin1');
    if (link !== '') out.write(link, at + LINK.at, LINK.bytes, 'latin1');
    if (prefix !== '') out.write(prefix, at + PREFIX.at, PREFIX.bytes, 'latin1');
    out.fill(0x20, at + CHECKSUM_AT, at + CHECKSUM_AT + 8);
    let sum = 0;
    for (let index = at; index < at + BLOCK; index += 1) sum += out[index] ?? 0;
    out.write(`${sum.toString(8).padStart(6, '0')}\0`, at + CHECKSUM_AT, 7, 'latin1');
  }
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
