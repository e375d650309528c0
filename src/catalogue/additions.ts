import { type Stats, statSync } from 'node:fs';
import { lutimes } from 'node:fs/promises';
import type { Manifest, ManifestSummary } from '../domain/manifest.ts';
import type { Location } from './location.ts';
import { RACY_MS } from './manifest-view.ts';

/**
 * What this process has added since the published index was right. As long as nobody has changed anything else, it is
 * all that the index lacks, and the other manifests need not be looked at to bring it up to date.
 *
 * States of the catalogue are told apart by the mtime of the directory of manifests, which is that of the index, too,
 * once it is published: whatever is renamed in the directory, or writes the index, makes the two differ.
 *
 * Two changes within one tick of the kernel's clock have the same mtime. So a state counts as known only where the
 * clock was past it while the catalogue was still locked, which the ctime of another file tells: nobody can choose it,
 * and it is that of the clock from which the next change gets its mtime. That is mostly so when the change is durable;
 * otherwise it takes a few milliseconds.
 */
export class Additions {
  readonly #location: Location;
  #added: readonly ManifestSummary[] = [];
  /** The state that the index with the additions describes; undefined where that cannot be known. */
  #state_ms: number | undefined;
  /** The state that the index describes, as far as this process has seen. */
  #published_ms: number | undefined;
  /** The clock was waited for in vain: it is too coarse, and the next wait under the lock would be as long. */
  #isCoarse = false;

  constructor(location: Location) {
    this.#location = location;
  }

  /** Adds a manifest, under the catalogue lock. */
  async noting(manifest: Manifest, add: () => Promise<void>): Promise<void> {
    const lacking = this.#lacking();
    this.forget();
    await add();
    if (lacking === undefined) return;
    // It is locked, and its times mean nothing.
    if (!(await this.#outlast(this.#location.lockPath('catalogue'), new Date()))) return;
    const { contents: _, ...summary } = manifest;
    this.#added = [...lacking, summary];
    this.#state_ms = this.#current_ms();
  }

  /** Something else than an addition has changed: the index is to be written as a whole. */
  forget(): void {
    this.#added = [];
    this.#state_ms = undefined;
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
    return this.#published_ms !== this.#current_ms() && this.#isPublished();
  }

  /** Another process has: what was added here is in the index. */
  seePublished(): void {
    this.forget();
    this.#published_ms = this.#current_ms();
  }

  /** The index describes the catalogue as it is, and gets the mtime that says so. Under the catalogue lock. */
  async markPublished(): Promise<void> {
    this.seePublished();
    // Where that is not allowed, the whole index is written again next time.
    await this.#outlast(this.#location.index, new Date(this.#published_ms ?? 0));
  }

  /** What the index lacks before an addition, if that can be known. */
  #lacking(): readonly ManifestSummary[] | undefined {
    return this.pending() ?? (this.#isPublished() ? [] : undefined);
  }

  #isPublished(): boolean {
    const { index } = this.#location;
    return mtimeOf(statsOf(index)) === this.#current_ms() && this.#isOutlasted(index);
  }

  #current_ms(): number | undefined {
    return mtimeOf(statsOf(this.#location.manifests));
  }

  /**
   * Gives a file that mtime, again until the clock is past the last change of the directory. Whether it is: not where
   * the clock of the file system is too coarse, which is waited for once, nor where the file is another's.
   */
  async #outlast(path: string, mtime: Date): Promise<boolean> {
    const until_ms = performance.now() + 2 * RACY_MS;
    try {
      for (;;) {
        // Unlike `utimes` it follows no link that somebody planted.
        await lutimes(path, mtime, mtime);
        if (this.#isOutlasted(path)) return true;
        this.#isCoarse ||= performance.now() > until_ms;
        if (this.#isCoarse) return false;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    } catch {
      return false;
    }
  }

  /** Whether a file was changed, or given a time, later than the directory. */
  #isOutlasted(path: string): boolean {
    const file = statsOf(path);
    const directory = statsOf(this.#location.manifests);
    if (file === undefined || directory === undefined) return false;
    // The directory may be a link to another disk, whose clock has another tick.
    const margin_ms = file.dev === directory.dev ? 0 : RACY_MS;
    // In whole milliseconds, as states are compared: a later change within the same one would pass unseen.
    return Math.floor(file.ctimeMs) - Math.floor(directory.mtimeMs) > margin_ms;
  }
}

function statsOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}

/** In whole milliseconds, which is what can be given to a file. */
function mtimeOf(stats: Stats | undefined): number | undefined {
  return stats === undefined ? undefined : Math.floor(stats.mtimeMs);
}
