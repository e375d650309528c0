import type { Header } from 'tar/header';
import { BLOCK_BYTES, type EntryAttributes, HeaderBlockWriter, LINK, NAME, PREFIX } from './header-block.ts';
import { isAscii, type RawName, utf8Text } from './raw-name.ts';

export interface TarEntry extends EntryAttributes {
  /** Without a trailing slash; directories get theirs here. */
  path: RawName;
  /** The target of a symbolic link, the first member of a hard link; empty for the rest. */
  link: RawName;
}

const NS_PER_S = 1_000_000_000n;

/** Room that the headers of one entry never exceed: two paths of PATH_MAX (4,096) and their own headers. */
export const MAX_HEADER_BYTES = 32_768;

/**
 * Writes tar headers, with names as the bytes that they are:
 *
 * - ASCII that fits the name field, or name and ustar prefix, stands there;
 * - other UTF-8 stands in a pax header (`path`, `linkpath`), which every current tar reads as UTF-8;
 * - bytes that are not UTF-8 have no place in pax: they stand in the header as they are, and where they do
 *   not fit in GNU's long name entries (`L`, `K`), which GNU tar and bsdtar extract to the same bytes.
 *
 * Format: https://www.gnu.org/software/tar/manual/html_node/Standard.html and POSIX pax.
 */
export class TarHeaderWriter {
  readonly #blocks = new HeaderBlockWriter();

  /** Writes all headers of an entry at `at`; returns where its data begins. */
  write(out: Buffer, at: number, entry: TarEntry): number {
    const path = entry.type === 'Directory' ? `${entry.path}/` : entry.path;
    const split = splitPath(path);
    const afterLongNames = this.#writeLongNames(out, at, path, entry, split !== undefined);
    const { prefix, name } = split ?? { prefix: '', name: path };
    this.#blocks.write(out, afterLongNames, entry, { prefix, name, link: entry.link });
    return afterLongNames + BLOCK_BYTES;
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
    this.#blocks.writeMeta(out, at, type, name, body.length);
    const end = at + BLOCK_BYTES + padded(body.length);
    out.write(body, at + BLOCK_BYTES, 'latin1');
    out.fill(0, at + BLOCK_BYTES + body.length, end);
    return end;
  }
}

/** `<length> <key>=<value>\n`, where the length counts its own digits. */
function paxRecord(key: string, value: RawName): RawName {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length += 1;
  return `${length}${rest}`;
}

function decimalSeconds(ns: bigint): string {
  const size = ns < 0n ? -ns : ns;
  const fraction = String(size % NS_PER_S).padStart(9, '0');
  return `${ns < 0n ? '-' : ''}${size / NS_PER_S}.${fraction}`;
}

/** A length rounded up to whole blocks. */
export function padded(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
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
