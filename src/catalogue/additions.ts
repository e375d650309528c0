import { statSync } from 'node:fs';
import type { Manifest, ManifestSummary } from '../domain/manifest.ts';
import type { Location } from './location.ts';

/**
 * What this process has added since the published index was right. As long as nobody has changed anything else, it is all
 * that the index lacks, and the other manifests need not be looked at to bring it up to date.
 *
 * States of the catalogue are told apart by the mtime of the directory of manifests, which is that of the index, too,
 * once it is published: whatever is renamed in the directory, or writes the index, makes the two differ.
 */
export class Additions {
  readonly #location: Location;
  #added: ManifestSummary[] = [];
  /** The state that the index with the additions describes; undefined where that cannot be known. */
  #state_ms: number | undefined;

  constructor(location: Location) {
    this.#location = location;
  }

  /** Adds a manifest, under the catalogue lock. */
  async noting(manifest: Manifest, add: () => Promise<void>): Promise<void> {
    const isOurs = this.#state_ms !== undefined && this.#state_ms === this.#current_ms();
    if (!isOurs) this.#added = [];
    const isKnown = isOurs || this.#isPublished();
    this.#state_ms = undefined;
    await add();
    if (!isKnown) return;
    const { contents: _, ...summary } = manifest;
    this.#added.push(summary);
    this.#state_ms = this.#current_ms();
  }

  /** What the index lacks, oldest first; undefined where more than this process knows of may have changed. */
  pending(): readonly ManifestSummary[] | undefined {
    return this.#state_ms !== undefined && this.#state_ms === this.#current_ms() ? this.#added : undefined;
  }

  /**
   * Whether another process has published the state that its change led to. Where nothing was renamed since the last
   * state that is known here, something was edited in its place, which the index does not have yet.
   */
  isPublishedByOthers(): boolean {
    return this.#state_ms !== this.#current_ms() && this.#isPublished();
  }

  /** The index describes the catalogue as it is: tells the mtime that it is to bear, and forgets what was pending. */
  published(): Date {
    this.#added = [];
    const at_ms = this.#current_ms() ?? 0;
    this.#state_ms = at_ms;
    return new Date(at_ms);
  }

  #isPublished(): boolean {
    return mtimeOf(this.#location.index) === this.#current_ms();
  }

  #current_ms(): number | undefined {
    return mtimeOf(this.#location.manifests);
  }
}

/** In whole milliseconds, which is what can be given to a file. */
function mtimeOf(path: string): number | undefined {
  const mtime_ms = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
  return mtime_ms === undefined ? undefined : Math.floor(mtime_ms);
}
