import { displayBytes } from '../../lib/display-bytes.ts';

/**
 * The bytes of a path, one character (U+0000 to U+00FF) per byte, as `latin1` decodes them: compact, compares
 * bytewise with `<`, and turns back into the same bytes whatever they are.
 */
export type RawPath = string;

/** What node:fs takes: text where every byte is ASCII (the fast way), the bytes otherwise. */
export type SystemPath = string | Buffer;

const NOT_ASCII = /[^\0-\x7f]/;

export function systemPath(path: RawPath): SystemPath {
  return NOT_ASCII.test(path) ? Buffer.from(path, 'latin1') : path;
}

/** The raw form of text that a user or the configuration gave. */
export function rawPath(text: string): RawPath {
  return NOT_ASCII.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
}

/** As text to match globs with: U+FFFD for what is not UTF-8. */
export function lossyText(path: RawPath): string {
  return NOT_ASCII.test(path) ? Buffer.from(path, 'latin1').toString('utf8') : path;
}

/** For people: every byte that is not UTF-8 is shown as `\xNN`. */
export function displayPath(path: RawPath): string {
  return displayBytes(Buffer.from(path, 'latin1'));
}

/** The path of the directory that holds it; empty for the top. */
export function parentOf(path: RawPath): RawPath {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
