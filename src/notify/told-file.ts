import { readFile } from 'node:fs/promises';
import type { Location } from '../catalogue/location.ts';
import { BackupError, toBackupError } from '../domain/errors.ts';
import type { NotifierMemory } from '../domain/notify-decision.ts';
import { writeAtomically } from '../lib/atomic-file.ts';
import type { NotifyEvents } from './notify-events.ts';

const SAVE_MS = 5_000;

/** How far a notifier has been told the journal, and what it remembers. */
export interface Bookmark {
  /** Bytes of the journal that are behind it. */
  place: number;
  /** The time of the newest entry behind it; before the first, when the bookmark was made. ISO 8601, UTC. */
  at: string;
  /** The entry that ends at `place`, as `labelOf` names it; absent before the first. */
  last?: string;
  jobs: NotifierMemory;
}

/**
 * `<location>/notifications.json`: the bookmark of every notifier, by name. Only who holds the lock `notify` writes
 * it. What cannot be read is as if it were not there: then nothing that is past is told.
 */
export class ToldFile {
  readonly #location: Location;
  readonly #events: NotifyEvents;
  #bookmarks = new Map<string, Bookmark>();
  #writing: Promise<void> = Promise.resolve();

  constructor(location: Location, events: NotifyEvents) {
    this.#location = location;
    this.#events = events;
  }

  async load(): Promise<void> {
    this.#bookmarks = new Map();
    try {
      const text = await readFile(this.#location.notifications, 'utf8');
      this.#bookmarks = bookmarksOf(JSON.parse(text));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      this.#events.hindered(unreadable(this.#location.notifications, error));
    }
  }

  of(notifier: string): Bookmark | undefined {
    return this.#bookmarks.get(notifier);
  }

  /** In memory; `save` makes it last. */
  set(notifier: string, bookmark: Bookmark): void {
    this.#bookmarks.set(notifier, bookmark);
  }

  /** One write after the other. Never rejects: on a full disk messages still go out, perhaps again later. */
  save(): Promise<void> {
    this.#writing = this.#writing.then(async () => {
      // Not given up at a shutdown: what was told would be told again.
      const signal = AbortSignal.timeout(SAVE_MS);
      try {
        // A sweep, under the same lock, would take the temporary file for a leftover.
        await using _lock = await this.#location.lock('catalogue', signal);
        const document = { version: 1, notifiers: Object.fromEntries(this.#bookmarks) };
        const { notifications, owner } = this.#location;
        await writeAtomically(notifications, `${JSON.stringify(document, null, 2)}\n`, owner);
      } catch (error) {
        this.#events.hindered(toBackupError(error, this.#location.notifications));
      }
    });
    return this.#writing;
  }
}

function unreadable(path: string, cause: unknown): BackupError {
  return new BackupError('IO_FAILED', `${path} cannot be read: ${(cause as Error).message}`, {
    path,
    hint: 'It is made anew: what is past is not told, and trouble that lasts is told once more.',
    cause,
  });
}

function bookmarksOf(document: unknown): Map<string, Bookmark> {
  const { notifiers } = asRecord(document);
  const valid = Object.entries(asRecord(notifiers)).filter((entry): entry is [string, Bookmark] =>
    isBookmark(entry[1]),
  );
  return new Map(valid);
}

function isBookmark(value: unknown): value is Bookmark {
  const { place, at, last = '', jobs } = asRecord(value);
  const isPlace = typeof place === 'number' && Number.isSafeInteger(place) && place >= 0;
  const areTexts = typeof at === 'string' && typeof last === 'string';
  return isPlace && areTexts && typeof jobs === 'object' && jobs !== null;
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
