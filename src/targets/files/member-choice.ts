import { compilePathGlobs, type PathMatcher } from '../../lib/path-globs.ts';
import { lossyText, parentOf, type RawPath } from './raw-path.ts';

interface Choice {
  glob: string;
  matches: PathMatcher;
  matched: boolean;
}

/**
 * Which members are meant by globs over their paths, see compilePathGlobs: those that match, and everything below
 * a directory that does. Without globs everything is meant.
 */
export class MemberChoice {
  readonly #choices: Choice[];
  /** Entries come by directory: the answer for the last one is the answer for most. */
  #directory: RawPath = '';
  #directoryChosen = false;

  constructor(globs: readonly string[]) {
    this.#choices = globs.map((glob) => ({ glob, matches: compilePathGlobs([glob]), matched: false }));
  }

  isChosen(path: RawPath, isDirectory: boolean): boolean {
    if (this.#choices.length === 0) return true;
    const parent = parentOf(path);
    if (parent !== this.#directory) {
      this.#directoryChosen = this.#isBelowChosen(parent);
      this.#directory = parent;
    }
    // Both, so that a glob for what lies below a chosen directory has matched as well.
    return this.#matches(path, isDirectory) || this.#directoryChosen;
  }

  /** Globs that matched nothing so far. */
  unmatched(): string[] {
    return this.#choices.filter(({ matched }) => !matched).map(({ glob }) => glob);
  }

  #isBelowChosen(directory: RawPath): boolean {
    let chosen = false;
    for (let path = directory; path !== ''; path = parentOf(path)) {
      chosen = this.#matches(path, true) || chosen;
    }
    return chosen;
  }

  #matches(path: RawPath, isDirectory: boolean): boolean {
    const text = lossyText(path);
    let any = false;
    for (const choice of this.#choices) {
      if (any && choice.matched) continue;
      if (!choice.matches(text, isDirectory)) continue;
      choice.matched = true;
      any = true;
    }
    return any;
  }
}
