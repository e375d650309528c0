import type { JournalEntry } from '../domain/journal-entry.ts';

/** A daemon that nobody listens to, on a disk that stays full, must not fill its memory with them, too. */
const MOST = 1_000;

/**
 * Entries that could not be written, as on a full disk, which is when it matters: each notifier is told them from
 * memory. They wait for a notifier while nobody tells it, as when the configuration is read again.
 */
export class Unrecorded {
  #queues = new Map<string, JournalEntry[]>();
  /** Those that came before there was any notifier. */
  readonly #early: JournalEntry[] = [];

  add(entry: JournalEntry): void {
    for (const queue of this.#queues.size === 0 ? [this.#early] : this.#queues.values()) {
      queue.push(entry);
      if (queue.length > MOST) queue.shift();
    }
  }

  /**
   * What these notifiers have not been told yet; whoever tells takes it from the queue. Of others it is forgotten, and
   * a new one among those that are there is told what comes from now on.
   */
  queuesOf(notifiers: readonly string[]): ReadonlyMap<string, JournalEntry[]> {
    const early = this.#early.splice(0);
    this.#queues = new Map(notifiers.map((id) => [id, this.#queues.get(id) ?? [...early]]));
    return this.#queues;
  }
}
