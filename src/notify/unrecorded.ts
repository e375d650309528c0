import type { JournalEntry } from '../domain/journal-entry.ts';

/** A daemon that nobody listens to, on a disk that stays full, must not fill its memory with them, too. */
const MOST = 1_000;

/** Entries for one notifier, in their order. */
export class UnrecordedQueue {
  readonly #entries: JournalEntry[];

  constructor(entries: readonly JournalEntry[] = []) {
    this.#entries = [...entries];
  }

  get entries(): readonly JournalEntry[] {
    return this.#entries;
  }

  /** At the bound the oldest gives way, but for the very first: that one may be being told. */
  add(entry: JournalEntry): void {
    this.#entries.push(entry);
    if (this.#entries.length > MOST) this.#entries.splice(1, 1);
  }

  /** The first one was told. */
  shift(): void {
    this.#entries.shift();
  }
}

/**
 * Entries that could not be written, as on a full disk, which is when it matters: each notifier is told them from
 * memory. They wait for a notifier while nobody tells it, as when the configuration is read again.
 */
export class Unrecorded {
  #queues = new Map<string, UnrecordedQueue>();
  /** Those that came before it was known who is to be told. */
  #early: UnrecordedQueue | undefined = new UnrecordedQueue();

  add(entry: JournalEntry): void {
    this.#early?.add(entry);
    for (const queue of this.#queues.values()) queue.add(entry);
  }

  /**
   * What these notifiers have not been told yet. Of others it is forgotten. One that is new is told what comes from now
   * on; the first ones also what came while they were looked for.
   */
  queuesOf(notifiers: readonly string[]): ReadonlyMap<string, UnrecordedQueue> {
    const early = this.#early?.entries;
    this.#early = undefined;
    this.#queues = new Map(notifiers.map((id) => [id, this.#queues.get(id) ?? new UnrecordedQueue(early)]));
    return this.#queues;
  }
}
