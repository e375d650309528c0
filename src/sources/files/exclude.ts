import { compilePathGlobs } from '../../lib/path-globs.ts';
import { lossyText, type RawName } from './raw-name.ts';

/** Whether an entry, by its path relative to the directory of the source, is left out. */
export type Exclude = (relative: RawName, isDirectory: boolean) => boolean;

/**
 * Compiles `exclude` globs, see compilePathGlobs; their top is the directory of the source. An excluded
 * directory is not descended into. Names are matched as UTF-8 text; in a name that is not UTF-8 each wrong
 * byte is U+FFFD, which `?` and `*` match.
 */
export function compileExclude(patterns: readonly string[]): Exclude | undefined {
  if (patterns.length === 0) return undefined;
  const matches = compilePathGlobs(patterns);
  return (relative, isDirectory) => matches(lossyText(relative), isDirectory);
}
