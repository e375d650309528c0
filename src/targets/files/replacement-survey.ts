import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { printable } from '../../domain/printable.ts';
import type { Replacing } from '../../domain/restore-ports.ts';
import { SomeNames } from '../../domain/some-names.ts';
import type { Judged } from './entry-judge.ts';
import { displayPath, parentOf, type RawPath, systemPath } from './raw-path.ts';

/**
 * Finds what of a directory would make room for the entries of an archive, told one by one in the order of the
 * archive, without changing anything. Only told beforehand: `checkMerge` looks again before anything is moved.
 */
export class ReplacementSurvey {
  readonly #top: RawPath;
  readonly #replaced = new SomeNames();
  readonly #kept = new SomeNames();
  /** The last one found that is no directory: what the archive has below it is not there. */
  #obstacle: RawPath | undefined;
  /** The last one that was found to be directories all the way, or not to be there. */
  #parent: { path: RawPath; isThere: boolean } = { path: '', isThere: true };

  /** @param top the target. */
  constructor(top: RawPath) {
    this.#top = top;
  }

  look({ path, made, chosen }: Judged): void {
    if (!chosen || path === '' || this.#isBelowObstacle(path)) return;
    const parent = parentOf(path);
    if (parent !== this.#parent.path) this.#parent = { path: parent, isThere: this.#enter(parent) };
    if (!this.#parent.isThere) return;
    const there = this.#statOf(path);
    if (there === undefined || (there.isDirectory() && made === 'directory')) return;
    if (there.isDirectory() && this.#holdsSomething(path)) this.#kept.add(shown(path));
    else this.#replace(path);
  }

  summary(): Replacing {
    return {
      replaced: this.#replaced.names,
      replaced_total: this.#replaced.total,
      kept: this.#kept.names,
      kept_total: this.#kept.total,
    };
  }

  /** Whether the directories are there; one that is something else makes room for a directory. */
  #enter(parent: RawPath): boolean {
    if (parent === '') return true;
    for (let end = parent.indexOf('/'); ; end = parent.indexOf('/', end + 1)) {
      const ancestor = end === -1 ? parent : parent.slice(0, end);
      const there = this.#statOf(ancestor);
      if (there === undefined) return false;
      if (!there.isDirectory()) {
        this.#replace(ancestor);
        return false;
      }
      if (end === -1) return true;
    }
  }

  #replace(path: RawPath): void {
    this.#replaced.add(shown(path));
    this.#obstacle = path;
  }

  #isBelowObstacle(path: RawPath): boolean {
    return this.#obstacle !== undefined && path.startsWith(`${this.#obstacle}/`);
  }

  #statOf(path: RawPath): Stats | undefined {
    try {
      return lstatSync(systemPath(`${this.#top}/${path}`), { throwIfNoEntry: false });
    } catch {
      // What may not be looked at now is looked at before anything is moved.
      return undefined;
    }
  }

  #holdsSomething(path: RawPath): boolean {
    try {
      return readdirSync(systemPath(`${this.#top}/${path}`)).length > 0;
    } catch {
      return true;
    }
  }
}

function shown(path: RawPath): string {
  return printable(displayPath(path));
}
