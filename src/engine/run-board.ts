import type { Journal } from '../catalogue/journal.ts';
import type { JournalEntry } from '../domain/journal-entry.ts';
import { endedEntry, identityOf, type RunEnd, type RunOccasion } from '../domain/run-entries.ts';
import { endedView, type ProgressView, queuedView, type RunView, startedView } from '../domain/run-view.ts';

/** What a board tells those who listen. */
export type BoardEvent =
  | { event: 'run-queued' | 'run-started' | 'run-ended'; run: RunView }
  | { event: 'progress'; run: string; job: string; progress: ProgressView };

export interface ProgressStep {
  source?: string;
  step: string;
  /** Of the step, so far. */
  bytes: number;
  total_bytes?: number;
}

/** Runs that the journal never got to know are remembered up to this many. */
const REMEMBERED = 200;
/** A chunk is no news. */
const PROGRESS_EVERY_MS = 500;

interface Live {
  view: RunView;
  /** When the step began, and was last told of. */
  step_ms: number;
  told_ms: number;
}

/**
 * The runs that are queued or under way, and their news: from the journal those of every process, from this one
 * also what waits and how far it is.
 */
export class RunBoard {
  readonly #live = new Map<string, Live>();
  readonly #remembered = new Map<string, RunView>();
  readonly #listeners = new Set<(event: BoardEvent) => void>();
  readonly #ticks_ms: () => number;

  /** @param ticks_ms a clock that never is set. */
  constructor(journal: Journal, ticks_ms: () => number = () => performance.now()) {
    this.#ticks_ms = ticks_ms;
    journal.onEntry((entry) => this.#journaled(entry));
  }

  /** Returns what ends the subscription. */
  subscribe(listener: (event: BoardEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A run of this process that waits for its turn. */
  queued(job: string, occasion: RunOccasion): RunView {
    const view = queuedView(job, occasion);
    this.#live.set(view.run, { view, step_ms: 0, told_ms: Number.NEGATIVE_INFINITY });
    this.#tell({ event: 'run-queued', run: view });
    return view;
  }

  /** The end of what was queued; told here only where the journal has not told it. */
  ended(run: string, startedAt: Date, endedAt: Date, end: RunEnd): void {
    const live = this.#live.get(run);
    if (live === undefined) return;
    this.#live.delete(run);
    const { job, trigger, actor } = live.view;
    const view = endedView(endedEntry(identityOf(job, { run, trigger, actor }), startedAt, endedAt, end));
    this.#remembered.set(run, view);
    for (const oldest of this.#remembered.keys()) {
      if (this.#remembered.size <= REMEMBERED) break;
      this.#remembered.delete(oldest);
    }
    this.#tell({ event: 'run-ended', run: view });
  }

  progress(run: string, { source, step, bytes, total_bytes }: ProgressStep): void {
    const live = this.#live.get(run);
    if (live === undefined) return;
    const now_ms = this.#ticks_ms();
    const before = live.view.progress;
    const isNew = before === null || before.step !== step || before.source !== (source ?? null);
    if (isNew) live.step_ms = now_ms;
    const seconds = (now_ms - live.step_ms) / 1000;
    const progress: ProgressView = {
      source: source ?? null,
      step,
      bytes,
      total_bytes: total_bytes ?? null,
      bytes_per_second: seconds > 0 ? Math.round(bytes / seconds) : 0,
    };
    live.view = { ...live.view, progress };
    if (!isNew && now_ms - live.told_ms < PROGRESS_EVERY_MS) return;
    live.told_ms = now_ms;
    this.#tell({ event: 'progress', run, job: live.view.job, progress });
  }

  /** Queued or under way, the oldest first. */
  live(): RunView[] {
    return [...this.#live.values()].map(({ view }) => view);
  }

  /** A run that the journal does not have the end of. */
  find(run: string): RunView | undefined {
    return this.#live.get(run)?.view ?? this.#remembered.get(run);
  }

  #journaled(entry: JournalEntry): void {
    if (entry.event === 'scheduled') return;
    if (entry.event === 'started') {
      const view = startedView(entry);
      this.#live.set(entry.run, { view, step_ms: 0, told_ms: Number.NEGATIVE_INFINITY });
      this.#tell({ event: 'run-started', run: view });
    } else {
      this.#live.delete(entry.run);
      this.#tell({ event: 'run-ended', run: endedView(entry) });
    }
  }

  #tell(event: BoardEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}
