import { BackupError, toBackupError } from '../domain/errors.ts';
import type { Service } from '../domain/ports.ts';
import type { EngineContext } from '../engine/context.ts';
import { aborted, NEVER } from '../lib/abort.ts';
import type { KernelLock } from '../lib/kernel-lock.ts';
import { type Subscriber, Teller, type TellerParts } from './teller.ts';
import { type Bookmark, ToldFile } from './told-file.ts';
import { Unrecorded, UnrecordedQueue } from './unrecorded.ts';

/** How often the journal is looked at for what other processes wrote. */
const POLL_MS = 2_000;
/** When to look again at what hinders. */
const HINDERED_MS = 30_000;

export interface NotificationsOptions extends Omit<TellerParts, 'told'> {
  /** The notifiers of the configuration; loaded when there is a need for it. */
  load: () => Promise<readonly Subscriber[]>;
  /** How long messages may still take once it is told to stop. */
  drain_ms: number;
  /** Ends that time at once. */
  hurry?: AbortSignal;
  /**
   * For a command, whose run is over when it is told to stop: waits so long for another command to be done with
   * telling, unless a daemon does it.
   */
  lastWait_ms?: number;
}

/**
 * Tells the notifiers what the journal says, whichever process wrote it, as long as it holds the lock `notify`:
 * of several processes one tells, and each message once.
 */
export class Notifications implements Service {
  readonly id = 'notifications';
  readonly #options: NotificationsOptions;
  readonly #told: ToldFile;
  #load: NotificationsOptions['load'];
  /** Where and when the journal ended when the configuration was read: a new notifier is told what comes after. */
  #since: Promise<Bookmark>;
  readonly #unrecorded = new Unrecorded();
  #wake = new AbortController();
  #reconfigured = new AbortController();

  constructor(options: NotificationsOptions) {
    this.#options = options;
    this.#load = options.load;
    this.#told = new ToldFile(options.context.location, options.events);
    this.#since = bookmarkAtEnd(options.context);
    options.context.journal.onEntry((entry, isRecorded) => {
      if (!isRecorded) this.#unrecorded.add(entry);
      const waiting = this.#wake;
      this.#wake = new AbortController();
      waiting.abort();
    });
  }

  /** Takes other notifiers over; those of the same name go on where they were. */
  reconfigure(load: NotificationsOptions['load']): void {
    this.#load = load;
    this.#since = bookmarkAtEnd(this.#options.context);
    this.#reconfigured.abort();
  }

  /** Never rejects: what hinders it is logged. */
  async run(signal: AbortSignal): Promise<void> {
    do {
      this.#reconfigured = new AbortController();
      const stop = AbortSignal.any([signal, this.#reconfigured.signal]);
      try {
        await this.#round(stop);
      } catch (error) {
        this.#options.events.hindered(toBackupError(error, 'notifying'));
        // A command is not there to try again.
        if (this.#options.lastWait_ms !== undefined) return;
        await this.#pause(stop, HINDERED_MS);
      }
    } while (!signal.aborted);
  }

  /** With the notifiers of one configuration. */
  async #round(stop: AbortSignal): Promise<void> {
    const subscribers = await this.#load();
    for (const { notifier } of subscribers) this.#options.events.opened(notifier.id);
    if (subscribers.length === 0) {
      this.#unrecorded.queuesOf([]);
      return await aborted(stop);
    }
    await using lock = await this.#lock(stop);
    if (lock === undefined) return;
    await this.#openBookmarks(subscribers);
    const { drain_ms, hurry } = this.#options;
    const ending = new AbortController();
    const soft = AbortSignal.any([stop, lock.lost]);
    const hard = AbortSignal.any([ending.signal, lock.lost, ...(hurry === undefined ? [] : [hurry])]);
    let timer: NodeJS.Timeout | undefined;
    void aborted(soft).then(() => {
      timer = setTimeout(() => ending.abort(), drain_ms);
    });
    const parts = { ...this.#options, told: this.#told };
    const unrecorded = this.#unrecorded.queuesOf(subscribers.map(({ notifier }) => notifier.id));
    const tellers = subscribers.map(
      (each) => new Teller(parts, each, unrecorded.get(each.notifier.id) ?? new UnrecordedQueue()),
    );
    await Promise.all(tellers.map((teller) => this.#tend(teller, soft, hard)));
    clearTimeout(timer);
    await this.#told.save();
  }

  async #tend(teller: Teller, soft: AbortSignal, hard: AbortSignal): Promise<void> {
    while (!soft.aborted) {
      // Before the work: an entry that comes meanwhile is not slept over.
      const wake = this.#wake.signal;
      const isWell = await teller.work(hard);
      await this.#pause(AbortSignal.any([soft, wake]), isWell ? POLL_MS : HINDERED_MS);
    }
    await teller.work(hard);
  }

  async #openBookmarks(subscribers: readonly Subscriber[]): Promise<void> {
    await this.#told.load();
    const since = await this.#since;
    const fresh = subscribers.filter(({ notifier }) => this.#told.of(notifier.id) === undefined);
    for (const { notifier } of fresh) this.#told.set(notifier.id, since);
    if (fresh.length > 0) await this.#told.save();
  }

  /** Undefined: somebody else tells. */
  async #lock(stop: AbortSignal): Promise<KernelLock | undefined> {
    const { context, lastWait_ms = 0, hurry = NEVER } = this.#options;
    while (!stop.aborted) {
      const lock = await unlessBusy(stop, () => context.location.lock('notify', stop));
      if (lock !== undefined) return lock;
    }
    if (lastWait_ms === 0 || (await this.#isDaemonThere(hurry))) return undefined;
    return await unlessBusy(hurry, () => context.location.lock('notify', hurry, lastWait_ms));
  }

  async #isDaemonThere(signal: AbortSignal): Promise<boolean> {
    const lock = await unlessBusy(signal, () =>
      this.#options.context.location.lockShared('daemon', signal, 0),
    );
    await lock?.[Symbol.asyncDispose]();
    return lock === undefined;
  }

  async #pause(signal: AbortSignal, ms: number): Promise<void> {
    const { clock } = this.#options.context;
    await clock.sleepUntil(new Date(clock.now().getTime() + ms), signal);
  }
}

async function bookmarkAtEnd({ journal, clock }: EngineContext): Promise<Bookmark> {
  const at = clock.now().toISOString();
  return { place: await journal.end(), at, jobs: {} };
}

/** Undefined also when the signal came first. */
async function unlessBusy(
  signal: AbortSignal,
  take: () => Promise<KernelLock>,
): Promise<KernelLock | undefined> {
  try {
    return await take();
  } catch (error) {
    const isBusy = error instanceof BackupError && error.code === 'LOCK_BUSY';
    if (!isBusy && !signal.aborted) throw error;
    return undefined;
  }
}
