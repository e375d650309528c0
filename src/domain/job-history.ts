import type { JobSeen, JournalEntry, RunEnded, RunStarted } from './journal-entry.ts';
import { USUAL_DURATION_RUNS } from './overdue.ts';

/** What the journal says of one job. */
export interface JobHistory {
  seen: JobSeen | undefined;
  /** The newest due time that was answered or attempted, in milliseconds since 1970. */
  lastDue_ms: number | undefined;
  /** Runs started for `lastDue` that did not reach an end of their own. */
  attempts: number;
  lastDueEnded: boolean;
  /** The last run that did something: skipped ones do not count. */
  lastEnded: RunEnded | undefined;
  lastSuccess: RunEnded | undefined;
  /** Started, and no end recorded yet. */
  open: RunStarted[];
  /** Of the latest successes, oldest first. */
  durations_ms: number[];
}

/** The state of all jobs, folded from the journal's lines in order. */
export class Histories {
  readonly #jobs = new Map<string, JobHistory>();
  readonly #archives = new Set<string>();

  /** A job nothing was recorded of has an empty history. */
  of(job: string): JobHistory {
    let history = this.#jobs.get(job);
    if (history === undefined) {
      history = {
        seen: undefined,
        lastDue_ms: undefined,
        attempts: 0,
        lastDueEnded: true,
        lastEnded: undefined,
        lastSuccess: undefined,
        open: [],
        durations_ms: [],
      };
      this.#jobs.set(job, history);
    }
    return history;
  }

  /** Filenames of all archives that runs wrote and nothing removed since. */
  get archives(): ReadonlySet<string> {
    return this.#archives;
  }

  names(): string[] {
    return [...this.#jobs.keys()];
  }

  add(entry: JournalEntry): void {
    const history = this.of(entry.job);
    switch (entry.event) {
      case 'scheduled':
        history.seen = entry;
        // A new schedule has new due times; those of the old one are settled.
        history.lastDue_ms = undefined;
        history.attempts = 0;
        history.lastDueEnded = true;
        return;
      case 'started':
        history.open.push(entry);
        startDue(history, entry);
        return;
      case 'ended':
        for (const filename of entry.archives) this.#archives.add(filename);
        for (const filename of entry.removed ?? []) this.#archives.delete(filename);
        history.open = history.open.filter(({ run }) => run !== entry.run);
        endDue(history, entry);
        if (entry.outcome === 'skipped') return;
        history.lastEnded = entry;
        if (entry.outcome !== 'succeeded') return;
        history.lastSuccess = entry;
        history.durations_ms = [...history.durations_ms, entry.duration_ms].slice(-USUAL_DURATION_RUNS);
        return;
      default:
        entry satisfies never;
    }
  }
}

function startDue(history: JobHistory, entry: RunStarted): void {
  if (entry.due === undefined) return;
  const due_ms = Date.parse(entry.due);
  history.attempts = due_ms === history.lastDue_ms ? history.attempts + 1 : 1;
  history.lastDue_ms = due_ms;
  history.lastDueEnded = false;
}

function endDue(history: JobHistory, entry: RunEnded): void {
  if (entry.due === undefined) return;
  const due_ms = Date.parse(entry.due);
  // The end of a run that was still busy when a later due time was skipped.
  if (history.lastDue_ms !== undefined && due_ms < history.lastDue_ms) return;
  if (due_ms !== history.lastDue_ms) {
    // A skip has no start; it settles its due time all the same.
    history.lastDue_ms = due_ms;
    history.attempts = 0;
  }
  // A cancelled or interrupted run answered nothing: its due time may be made up for.
  history.lastDueEnded =
    entry.outcome !== 'cancelled' && !entry.errors.some(({ code }) => code === 'INTERRUPTED');
}
