import { BackupError } from '../domain/errors.ts';
import type { RunQueue } from './run-queue.ts';

/** Work nearly done when a shutdown comes gets this long before it is cancelled. */
const DRAIN_MS = 4_000;

/** What a queue has to do, and how a shutdown ends it. */
export class Workload {
  readonly #queue: RunQueue;
  /** Ends the waiting of queued work at a shutdown; it never started. */
  readonly #closing = new AbortController();
  readonly #work = new AbortController();

  constructor(queue: RunQueue) {
    this.#queue = queue;
  }

  /**
   * Does the work when its turn comes. Resolves once it has ended, to whether it was begun at all: a shutdown
   * drops what waits. Its signal aborts when a shutdown has waited long enough.
   */
  async add(work: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
    let isBegun = false;
    const begin = async () => {
      isBegun = true;
      await work(this.#work.signal);
    };
    await this.#queue.add(begin, this.#closing.signal);
    return isBegun;
  }

  /** Drops what waits, lets what is under way come to its end or cancels it, and waits for that. */
  async drain(): Promise<void> {
    this.#closing.abort();
    const timer = setTimeout(() => this.#work.abort(shutdownReason()), DRAIN_MS);
    await this.#queue.idle();
    clearTimeout(timer);
  }
}

function shutdownReason(): BackupError {
  return new BackupError('CANCELLED', 'cancelled by the shutdown of cofre', {
    hint: 'A scheduled run is made up for after the next start, if `catchUp` is on.',
  });
}
