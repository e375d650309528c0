import { Header } from 'tar/header';
import type { RawName } from './raw-name.ts';

export type TarEntryType =
  | 'File'
  | 'Directory'
  | 'SymbolicLink'
  | 'Link'
  | 'FIFO'
  | 'CharacterDevice'
  | 'BlockDevice';

/** What the block of an entry says beside its names. */
export interface EntryAttributes {
  type: TarEntryType;
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

/** Bytes for the fields of a block; what does not fit its field is cut. */
export interface BlockNames {
  prefix: RawName;
  name: RawName;
  link: RawName;
}

export const BLOCK_BYTES = 512;
export const NAME = { at: 0, bytes: 100 };
export const LINK = { at: 157, bytes: 100 };
export const PREFIX = { at: 345, bytes: 155 };
const SIZE_AT = 124;
const MTIME_AT = 136;
const CHECKSUM_AT = 148;
/** What a field of 12 bytes holds in octal: 8 GiB, and the year 2242. */
const MAX_OCTAL = 0o77777777777;
/** The package ends numbers of up to 10 digits with a space and a NUL, and one of 11 with a NUL. */
const MAX_OCTAL_OF_10 = 0o7777777777;
const NS_PER_S = 1_000_000_000n;

/** What entries have in common that differ in names, size and time only, which is most of those side by side. */
interface Template {
  attributes: EntryAttributes;
  /** Without names, size, time and checksum. */
  block: Buffer;
  /** Of the bytes of the block, the checksum's counted as spaces and those of size and time left out. */
  sum: number;
}

/**
 * Writes the header block of an entry. Numbers are formatted by the `Header` of the npm package `tar`: octal, or GNU's
 * base-256 where octal is too small (sizes over 8 GiB, times before 1970). It writes a block for entries of the same
 * attributes once; their sizes and times are put into it here, in the same form, since formatting all of them for each
 * entry, and adding up its 512 bytes, takes a third of packing small files.
 */
export class HeaderBlockWriter {
  readonly #header = new Header();
  readonly #templates = new Map<TarEntryType, Template>();

  write(out: Buffer, at: number, attributes: EntryAttributes, names: BlockNames): void {
    const mtime_s = wholeSeconds(attributes.mtime_ns);
    let sum: number;
    if (attributes.size <= MAX_OCTAL && mtime_s >= 0 && mtime_s <= MAX_OCTAL) {
      const template = this.#templateOf(attributes);
      template.block.copy(out, at);
      const ofSize = writeOctal(out, at + SIZE_AT, attributes.size);
      sum = template.sum + ofSize + writeOctal(out, at + MTIME_AT, mtime_s);
    } else {
      sum = this.#encodeAttributes(out, at, attributes, attributes.size, mtime_s);
    }
    finish(out, at, sum, names);
  }

  /** Of what stands before the block of an entry and is about it: extended headers and long names. */
  writeMeta(out: Buffer, at: number, type: Header['type'], name: RawName, size: number): void {
    const header = this.#header;
    header.type = type;
    header.mode = 0o644;
    header.uid = 0;
    header.gid = 0;
    header.uname = '';
    header.gname = '';
    header.size = size;
    header.mtime = new Date(0);
    header.devmaj = 0;
    header.devmin = 0;
    finish(out, at, this.#encode(out, at), { prefix: '', name, link: '' });
  }

  #templateOf(attributes: EntryAttributes): Template {
    const known = this.#templates.get(attributes.type);
    if (known !== undefined && isAlike(known.attributes, attributes)) return known;
    const block = Buffer.alloc(BLOCK_BYTES);
    const whole = this.#encodeAttributes(block, 0, attributes, 0, 0);
    // Size and time stand side by side.
    const template = { attributes, block, sum: whole - sumOf(block, SIZE_AT, CHECKSUM_AT) };
    this.#templates.set(attributes.type, template);
    return template;
  }

  #encodeAttributes(
    out: Buffer,
    at: number,
    attributes: EntryAttributes,
    size: number,
    mtime_s: number,
  ): number {
    const header = this.#header;
    header.type = attributes.type;
    header.mode = attributes.mode & 0o7777;
    header.uid = attributes.uid;
    header.gid = attributes.gid;
    header.uname = attributes.user;
    header.gname = attributes.group;
    header.size = size;
    header.mtime = new Date(mtime_s * 1_000);
    header.devmaj = attributes.deviceMajor;
    header.devmin = attributes.deviceMinor;
    return this.#encode(out, at);
  }

  /** `Header` takes names as text only: it encodes without them. Returns the sum of the block so far. */
  #encode(out: Buffer, at: number): number {
    out.fill(0, at, at + BLOCK_BYTES);
    this.#header.encode(out, at);
    out.fill(0x20, at + CHECKSUM_AT, at + CHECKSUM_AT + 8);
    return sumOf(out, at, at + BLOCK_BYTES);
  }
}

/** Adds the names, and then the checksum, to a block with this sum so far. */
function finish(out: Buffer, at: number, sumSoFar: number, { prefix, name, link }: BlockNames): void {
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
  const digits = value <= MAX_OCTAL_OF_10 ? 10 : 11;
  let sum = 0;
  if (digits === 10) {
    out[at + 10] = 0x20;
    sum += 0x20;
  }
  let left = value;
  for (let index = digits - 1; index >= 0; index -= 1) {
    const digit = 0x30 + (left % 8);
    out[at + index] = digit;
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
function isAlike(one: EntryAttributes, other: EntryAttributes): boolean {
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

/** Rounded towards the past, as every tar does. */
function wholeSeconds(ns: bigint): number {
  const truncated = ns / NS_PER_S;
  return Number(ns < truncated * NS_PER_S ? truncated - 1n : truncated);
}
