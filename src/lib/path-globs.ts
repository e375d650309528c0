import picomatch from 'picomatch';

/** Whether a path, relative to the top and without a trailing slash, is meant. */
export type PathMatcher = (path: string, isDirectory: boolean) => boolean;

/**
 * Compiles globs over the paths of a tree: picomatch's syntax, dot files match like others, a leading `!` is an
 * ordinary character.
 *
 * - `*.tmp`: without a slash, the base name of an entry at any depth;
 * - `cache/*.bin`, `logs/**`: with a slash, the path relative to the top;
 * - `/cache`: a leading slash anchors a single name to the top;
 * - `node_modules/`: a trailing slash restricts any of these to directories.
 */
export function compilePathGlobs(patterns: readonly string[]): PathMatcher {
  const ofAnything = compileRules(patterns.filter((pattern) => !pattern.endsWith('/')));
  const ofDirectories = compileRules(
    patterns.filter((pattern) => pattern.endsWith('/')).map((pattern) => pattern.slice(0, -1)),
  );
  return (path, isDirectory) => {
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
