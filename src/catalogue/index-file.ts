import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { writeAtomically } from '../lib/atomic-file.ts';
import type { Catalogue } from './catalogue.ts';
import type { Location } from './location.ts';

/**
 * The published index `backups_metadata.json`, for readers other than cofre. Nothing in cofre reads it; it
 * is written again when the catalogue has changed, by whichever process notices.
 */
export class IndexFile {
  readonly #location: Location;
  readonly #catalogue: Catalogue;
  #published = -1;

  constructor(location: Location, catalogue: Catalogue) {
    this.#location = location;
    this.#catalogue = catalogue;
  }

  /** Writes the index if the catalogue has changed since this process last wrote it, or it is gone. */
  async publish(signal: AbortSignal): Promise<void> {
    if (this.#catalogue.generation() === this.#published && existsSync(this.#location.index)) return;
    await using _lock = await this.#location.lock('catalogue', signal);
    const generation = this.#catalogue.generation();
    const text = `${JSON.stringify(this.#catalogue.list(), undefined, 1)}\n`;
    const current = await readFile(this.#location.index, 'utf8').catch(() => undefined);
    if (text !== current) await writeAtomically(this.#location.index, text, this.#location.owner);
    this.#published = generation;
  }
}
