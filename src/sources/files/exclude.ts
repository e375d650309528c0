import picomatch from 'picomatch';
import { lossyText, type RawName } from './raw-name.ts';

/** Whether an entry, by its path relative to the directory of the source, is left out. */
export type Exclude = (relative: RawName, isDirectory: boolean) => boolean;

/**
 * Compiles `exclude` globs: picomatch's syntax, dot files match like others, a leading `!` is an ordinary
 * character.
 *
 * - `*.tmp`: without a slash, the base name of an entry at any depth;
 * - `cache/*.bin`, `logs/**`: with a slash, the path relative to the directory of the source;
 * - `/cache`: a leading slash anchors a single name to the top of the directory;
 * - `node_modules/`: a trailing slash restricts any of these to directories.
 *
 * An excluded directory is not descended into. Names are matched as UTF-8 text; in a name that is not UTF-8
 * each wrong byte is U+FFFD, which `?` and `*` match.
 */
export function compileExclude(patterns: readonly string[]): Exclude | undefined {
  if (patterns.length === 0) return undefined;
  const ofAnything = compileRules(patterns.filter((pattern) => !pattern.endsWith('/')));
  const ofDirectories = compileRules(
    patterns.filter((pattern) => pattern.endsWith('/')).map((pattern) => pattern.slice(0, -1)),
  );
  return (relative, isDirectory) => {
    const path = lossyText(relative);
    const base = path.slice(path.lastIndexOf('/') + 1);
    return ofAnything(path, base) || (isDirectory && ofDirectories(path, base));
  };
}

function compileRules(patterns: readonly string[]): (path: string, base: string) => boolean {
  const anchored = patterns.filter((pattern) => pattern.includes('/'));
  const ofPath = compileGlobs(
    anchored.map((pattern) => (pattern.startsWith('/') ? pattern.slice(1) : pattern)),
  );
  const ofBase = compileGlobs(patterns.filter((pattern) => !pattern.includes('/')));
  return (path, base) => ofBase(base) || ofPath(path);
}

function compileGlobs(globs: string[]): (text: string) => boolean {
  if (globs.length === 0) return () => false;
  // `s`, because a file name may hold a newline, which `**` must match as well.
  const matches = picomatch(globs, { dot: true, nonegate: true, flags: 's' });
  return (text) => matches(text);
}
