import { toBackupError } from '../domain/errors.ts';
import type { Service } from '../domain/ports.ts';
import type { IndexFile } from '../catalogue/index-file.ts';
import type { Events } from '../engine/events.ts';
import { sleep } from '../lib/abort.ts';

/** The published index is at most 5 s behind; this leaves time for writing a large one. */
const INTERVAL_MS = 2_000;

/** Keeps the published index up with the catalogue, whichever process changed it. */
export class IndexPublisher implements Service {
  readonly id = 'index';
  readonly #index: IndexFile;
  readonly #events: Events;

  constructor(index: IndexFile, events: Events) {
    this.#index = index;
    this.#events = events;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.publish(signal);
      await sleep(INTERVAL_MS, signal).catch(() => undefined);
    }
    // What the last runs added before the shutdown.
    await this.publish(AbortSignal.timeout(INTERVAL_MS));
  }

  async publish(signal: AbortSignal): Promise<void> {
    try {
      await this.#index.publish(signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#events.failed('index', {}, toBackupError(error, 'publishing the index'));
    }
  }
}
