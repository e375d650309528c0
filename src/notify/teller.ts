import { BackupError, toBackupError } from '../domain/errors.ts';
import type { JournalEntry } from '../domain/journal-entry.ts';
import type { Notice } from '../domain/notice.ts';
import {
  type Decision,
  decideEnded,
  decideOverdue,
  decideStarted,
  type Overdue,
  type Subscription,
} from '../domain/notify-decision.ts';
import type { Notifier } from '../domain/ports.ts';
import type { EngineContext } from '../engine/context.ts';
import { deliver, type Patience } from './deliver.ts';
import { endNotice, type Origin, overdueNotice, startNotice } from './notices.ts';
import type { NotifyEvents } from './notify-events.ts';
import type { Bookmark, ToldFile } from './told-file.ts';
import type { UnrecordedQueue } from './unrecorded.ts';

/** A notifier and what it wants to know. */
export interface Subscriber {
  notifier: Notifier;
  subscription: Subscription;
}

export interface TellerParts {
  context: EngineContext;
  events: NotifyEvents;
  told: ToldFile;
  origin: Origin;
  patience: Patience;
  /** The jobs that are overdue and not under way. */
  overdue: () => Overdue[];
}

/** Also before the first time, so that what is made up for at the start of a daemon is under way. */
const OVERDUE_EVERY_MS = 10_000;
/** That a run has started is news for so long only. */
const START_IS_NEWS_MS = 5 * 60_000;
/** What is older was of no use to anybody: a notifier that was long out of use is not told the past. */
const NEWS_MS = 7 * 24 * 3_600_000;

/**
 * Tells one notifier what the journal says, one message after the other, and moves its bookmark on behind each.
 * What was not told when the process ends, the next one tells.
 */
export class Teller {
  readonly #parts: TellerParts;
  readonly #subscriber: Subscriber;
  readonly #unrecorded: UnrecordedQueue;
  /** Whether the last message was given up. */
  #isDeaf = false;
  /** Whether the entry before the bookmark was found to be the one that was told last. */
  #isPlaceKnown = false;
  #lookedForOverdue: Date;

  /** @param unrecorded what the journal does not say, and what is added to it meanwhile. */
  constructor(parts: TellerParts, subscriber: Subscriber, unrecorded: UnrecordedQueue) {
    this.#parts = parts;
    this.#subscriber = subscriber;
    this.#unrecorded = unrecorded;
    this.#lookedForOverdue = parts.context.clock.now();
  }

  /**
   * Tells everything that is not told yet; ends early when the signal aborts. A fault of the machine, such as a
   * journal that cannot be read, is told in the log and tried again the next time. Returns whether there was none.
   */
  async work(signal: AbortSignal): Promise<boolean> {
    let isWell = true;
    const steps: (() => Promise<unknown>)[] = [
      () => this.#tellJournal(signal),
      () => this.#tellUnrecorded(signal),
      () => this.#tellOverdue(signal),
    ];
    for (const step of steps) {
      try {
        await step();
      } catch (error) {
        isWell = false;
        if (!signal.aborted) this.#parts.events.hindered(toBackupError(error, 'notifying'));
      }
    }
    return isWell;
  }

  async #tellJournal(signal: AbortSignal): Promise<void> {
    const { journal } = this.#parts.context;
    const { place, at } = this.#bookmark();
    const isCut = await this.#isCut(await journal.end());
    for await (const read of journal.forwards(isCut ? 0 : place)) {
      if (signal.aborted) return;
      // The places are those of another file: only the times tell what is new in it.
      if (isCut && read.entry.at <= at) this.#moveTo(read);
      else if (!(await this.#tellUnrecorded(signal, read.entry.at))) return;
      else if (!(await this.#tell(read.entry, read.place, signal))) return;
    }
  }

  /**
   * In the order of what happened: a job that is well again is not to be told of as failing.
   * @param until tells those of that time and before; all of them when absent.
   * @returns false when it was stopped before all were told.
   */
  async #tellUnrecorded(signal: AbortSignal, until?: string): Promise<boolean> {
    for (;;) {
      const [entry] = this.#unrecorded.entries;
      if (entry === undefined || (until !== undefined && entry.at > until)) return true;
      if (signal.aborted || !(await this.#tell(entry, undefined, signal))) return false;
      this.#unrecorded.shift();
    }
  }

  async #tellOverdue(signal: AbortSignal): Promise<void> {
    const { context, overdue, origin } = this.#parts;
    const since_ms = context.clock.now().getTime() - this.#lookedForOverdue.getTime();
    // The clock may have been set back.
    if (since_ms >= 0 && since_ms < OVERDUE_EVERY_MS) return;
    this.#lookedForOverdue = context.clock.now();
    for (const late of overdue()) {
      if (signal.aborted) return;
      const now = context.clock.now();
      const bookmark = this.#bookmark();
      const decision = decideOverdue(bookmark.jobs, late, now, this.#subscriber.subscription);
      if (decision.tell === undefined) continue;
      await this.#carryOut(decision, bookmark, overdueNotice(origin, decision.tell, late, now), signal);
    }
  }

  /** Whether the journal was cut or replaced: then another entry than the last one, or none, ends at the bookmark. */
  async #isCut(end: number): Promise<boolean> {
    const { place, last } = this.#bookmark();
    if (end < place) return true;
    if (this.#isPlaceKnown || last === undefined) return false;
    this.#isPlaceKnown = true;
    for await (const { entry } of this.#parts.context.journal.backwards(place))
      return labelOf(entry) !== last;
    return true;
  }

  /** Returns false when it was stopped before the entry was behind it. */
  async #tell(entry: JournalEntry, place: number | undefined, signal: AbortSignal): Promise<boolean> {
    const { jobs, ...before } = this.#bookmark();
    const at = entry.at > before.at ? entry.at : before.at;
    const moved = place === undefined ? before : { ...before, place, last: labelOf(entry) };
    const bookmark: Bookmark = { ...moved, at, jobs };
    const decision = this.#decide(entry, bookmark);
    const notice = await this.#noticeOf(entry, decision);
    if (notice !== undefined) return await this.#carryOut(decision, bookmark, notice, signal);
    const isNews = decision.silent !== jobs;
    this.#parts.told.set(this.#subscriber.notifier.id, { ...bookmark, jobs: decision.silent });
    if (isNews) await this.#parts.told.save();
    return true;
  }

  #decide(entry: JournalEntry, { jobs }: Bookmark): Decision {
    const { subscription } = this.#subscriber;
    switch (entry.event) {
      case 'scheduled':
        return { silent: jobs, told: jobs };
      case 'started':
        return decideStarted(jobs, entry, subscription);
      case 'ended':
        return decideEnded(jobs, entry, subscription);
      default:
        return entry satisfies never;
    }
  }

  async #noticeOf(entry: JournalEntry, { tell }: Decision): Promise<Notice | undefined> {
    const { context, origin } = this.#parts;
    const age_ms = context.clock.now().getTime() - Date.parse(entry.at);
    if (tell === undefined || entry.event === 'scheduled') return undefined;
    if (age_ms > (entry.event === 'started' ? START_IS_NEWS_MS : NEWS_MS)) return undefined;
    if (entry.event === 'started') return startNotice(origin, tell, entry);
    return await endNotice(origin, tell, entry, context);
  }

  async #carryOut(
    decision: Decision,
    bookmark: Bookmark,
    notice: Notice,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { context, events, patience, told } = this.#parts;
    const { notifier } = this.#subscriber;
    // While more waits behind a receiver that does not answer, each gets one attempt, or they would pile up.
    const hasMore = this.#isDeaf && bookmark.place < (await context.journal.end());
    const pauses_ms = hasMore ? [] : patience.pauses_ms;
    const parts = { clock: context.clock, events, patience: { ...patience, pauses_ms } };
    const delivery = await deliver(parts, notifier, notice, signal);
    if (delivery === 'stopped') return false;
    this.#isDeaf = delivery === 'failed';
    told.set(notifier.id, { ...bookmark, jobs: this.#isDeaf ? decision.silent : decision.told });
    await told.save();
    return true;
  }

  #moveTo({ entry, place }: { entry: JournalEntry; place: number }): void {
    const { id } = this.#subscriber.notifier;
    this.#parts.told.set(id, { ...this.#bookmark(), place, last: labelOf(entry) });
  }

  #bookmark(): Bookmark {
    const { id } = this.#subscriber.notifier;
    const bookmark = this.#parts.told.of(id);
    if (bookmark === undefined) throw new BackupError('INTERNAL', `the notifier ${id} has no bookmark`);
    return bookmark;
  }
}

/** Tells one entry of the journal from another. */
function labelOf(entry: JournalEntry): string {
  return `${entry.event} ${entry.event === 'scheduled' ? `${entry.job} ${entry.at}` : entry.run}`;
}
