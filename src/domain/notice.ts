import type { DrillRecord, RunError } from './journal-entry.ts';
import type { AnomalyKind, Outcome, Trigger } from './manifest.ts';

/** What a notifier can be asked to tell, the most important first. */
export const TOPICS = ['failure', 'incomplete', 'anomaly', 'recovered', 'drill', 'prune', 'success'] as const;
export type Topic = (typeof TOPICS)[number];

/** One message: what happened, with all that people want to know of it. Times are ISO 8601, UTC. */
export interface Notice {
  /** The most important of `topics`; `start` of a run, or a `test`. */
  kind: Topic | 'start' | 'test';
  /** All that the notifier asked for and that goes for this event. */
  topics: readonly Topic[];
  /** Where the work was done: name of the machine, and the location. */
  host: string;
  location: string;
  at: string;
  /** A job, or a maintenance task such as `@prune`; absent in a test. */
  job?: string;
  run?: string;
  trigger?: Trigger;
  actor?: string;
  due?: string;
  /** Absent for a start, and for a job that is overdue. */
  outcome?: Outcome;
  duration_ms?: number;
  archives: readonly NoticeArchive[];
  errors: readonly RunError[];
  /** Filenames of what a prune removed. */
  removed: readonly string[];
  drills: readonly DrillRecord[];
  /** Since when the job has been failing, or had been. */
  failing_since?: string;
}

/** An archive that a run added. Sizes are absent where the manifest is gone already. */
export interface NoticeArchive {
  filename: string;
  /** Bytes. */
  size?: number;
  /** Bytes before compression. */
  raw_size?: number;
  anomaly?: { kinds: readonly AnomalyKind[]; detail: string };
}
