/** Attributes of a pax header that override those of the header block. Raw bytes for names. */
export interface PaxAttributes {
  path?: Buffer;
  link?: Buffer;
  /** Bytes. */
  size?: number;
  mtime_s?: bigint;
  uid?: number;
  gid?: number;
  uname?: Buffer;
  gname?: Buffer;
}

const SPACE = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;

/**
 * Reads the records of a pax header, `<length> <key>=<value>\n`, over the attributes known so far. An empty
 * value takes an attribute back. Keys that do not matter here are passed over. Returns a string that says
 * what is wrong when the records are malformed.
 *
 * Format: POSIX.1-2017, pax, "pax Extended Header".
 */
export function readPax(body: Buffer, known: PaxAttributes): PaxAttributes | string {
  const attributes = { ...known };
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(SPACE, at);
    const length = wholeNumber(body.toString('latin1', at, Math.max(space, at)));
    const end = at + length;
    if (Number.isNaN(length) || end > body.length || end <= space + 1 || body[end - 1] !== NEWLINE) {
      return 'a pax header is malformed';
    }
    const equals = body.indexOf(EQUALS, space);
    if (equals === -1 || equals >= end) return 'a pax header is malformed';
    const fault = apply(
      attributes,
      body.toString('latin1', space + 1, equals),
      body.subarray(equals + 1, end - 1),
    );
    if (fault !== undefined) return fault;
    at = end;
  }
  return attributes;
}

function apply(attributes: PaxAttributes, key: string, value: Buffer): string | undefined {
  switch (key) {
    case 'path':
      if (value.length === 0) delete attributes.path;
      else attributes.path = value;
      return undefined;
    case 'linkpath':
      if (value.length === 0) delete attributes.link;
      else attributes.link = value;
      return undefined;
    case 'size': {
      if (value.length === 0) {
        delete attributes.size;
        return undefined;
      }
      const size = wholeNumber(value.toString('latin1'));
      if (!Number.isSafeInteger(size)) return 'a pax header has an impossible size';
      attributes.size = size;
      return undefined;
    }
    case 'mtime': {
      if (value.length === 0) {
        delete attributes.mtime_s;
        return undefined;
      }
      const mtime = floorSeconds(value.toString('latin1'));
      if (mtime === undefined) return 'a pax header has a malformed time';
      attributes.mtime_s = mtime;
      return undefined;
    }
    case 'uid':
    case 'gid': {
      if (value.length === 0) {
        delete attributes[key];
        return undefined;
      }
      const id = wholeNumber(value.toString('latin1'));
      if (!Number.isSafeInteger(id)) return 'a pax header has an impossible owner';
      attributes[key] = id;
      return undefined;
    }
    case 'uname':
    case 'gname':
      if (value.length === 0) delete attributes[key];
      else attributes[key] = value;
      return undefined;
    default:
      return undefined;
  }
}

function wholeNumber(digits: string): number {
  return /^\d+$/.test(digits) ? Number(digits) : Number.NaN;
}

/** `-1.5` is two seconds before 1970: whole seconds are rounded towards the past. */
function floorSeconds(text: string): bigint | undefined {
  const match = /^(-?\d+)(?:\.(\d*))?$/.exec(text);
  if (match === null) return undefined;
  const [, whole = '0', fraction = ''] = match;
  const below = whole.startsWith('-') && /[1-9]/.test(fraction) ? 1n : 0n;
  return BigInt(whole) - below;
}
