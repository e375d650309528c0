import { isUtf8 } from 'node:buffer';
import { displayBytes } from '../../lib/display-bytes.ts';

/**
 * The bytes of a file name or path, one character (U+0000 to U+00FF) per byte, as `latin1` decodes them.
 * A name on disk is bytes, not text; in this form it is compact, compares bytewise with `<`, and turns back
 * into the same bytes whatever they are.
 */
export type RawName = string;

/** What node:fs takes: text where every byte is ASCII (the fast way), the bytes otherwise. */
export type SystemPath = string | Buffer;

const NOT_ASCII = /[^\0-\x7f]/;

export function isAscii(name: RawName): boolean {
  return !NOT_ASCII.test(name);
}

/** The raw form of text that the configuration gave. */
export function rawName(text: string): RawName {
  return isAscii(text) ? text : Buffer.from(text, 'utf8').toString('latin1');
}

export function systemPath(path: RawName): SystemPath {
  return isAscii(path) ? path : Buffer.from(path, 'latin1');
}

/** The name as text; undefined when its bytes are not UTF-8. */
export function utf8Text(name: RawName): string | undefined {
  if (isAscii(name)) return name;
  const bytes = Buffer.from(name, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : undefined;
}

/** The name as text, with U+FFFD for what is not UTF-8. */
export function lossyText(name: RawName): string {
  return isAscii(name) ? name : Buffer.from(name, 'latin1').toString('utf8');
}

/** The name for people: every byte that is not UTF-8 is shown as `\xNN`. */
export function displayName(name: RawName): string {
  return isAscii(name) ? name : displayBytes(Buffer.from(name, 'latin1'));
}
