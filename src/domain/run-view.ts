import type { AnomalyRecord, DrillRecord, RunEnded, RunError, RunStarted } from './journal-entry.ts';
import type { Outcome, Trigger } from './manifest.ts';
import type { RunOccasion } from './run-entries.ts';

export const RUN_STATES = ['queued', 'running', 'ended'] as const;
export type RunState = (typeof RUN_STATES)[number];

/** One run as it is told over HTTP. Times are ISO 8601, UTC; what is not known yet is null. */
export interface RunView {
  run: string;
  /** A job, or a maintenance task such as `@restore`. */
  job: string;
  state: RunState;
  trigger: Trigger;
  actor: string;
  due: string | null;
  started_at: string | null;
  ended_at: string | null;
  duration_ms: number | null;
  outcome: Outcome | null;
  /** Filenames of what it added. */
  archives: string[];
  /** Filenames of what it removed. */
  removed: string[];
  errors: RunError[];
  drills: DrillRecord[];
  anomalies: AnomalyRecord[];
  /** Restores: the archive, and where it goes. */
  filename: string | null;
  target: string | null;
  /** While it runs in this process. */
  progress: ProgressView | null;
}

/** How far a run is. */
export interface ProgressView {
  source: string | null;
  step: string;
  bytes: number;
  total_bytes: number | null;
  /** Over the time since the step began. */
  bytes_per_second: number;
}

export function queuedView(job: string, { run, trigger, actor }: RunOccasion): RunView {
  return { ...NOTHING_YET, run, job, state: 'queued', trigger, actor };
}

export function startedView(entry: RunStarted): RunView {
  const { run, job, trigger, actor, due = null, filename = null, target = null, at } = entry;
  return {
    ...NOTHING_YET,
    run,
    job,
    state: 'running',
    trigger,
    actor,
    due,
    filename,
    target,
    started_at: at,
  };
}

export function endedView(entry: RunEnded): RunView {
  const { run, job, trigger, actor, due = null, filename = null, target = null } = entry;
  const { at, duration_ms, outcome, archives, errors, removed = [], drills = [], anomalies = [] } = entry;
  return {
    run,
    job,
    state: 'ended',
    trigger,
    actor,
    due,
    started_at: new Date(Date.parse(at) - duration_ms).toISOString(),
    ended_at: at,
    duration_ms,
    outcome,
    archives,
    removed,
    errors,
    drills,
    anomalies,
    filename,
    target,
    progress: null,
  };
}

const NOTHING_YET = {
  due: null,
  started_at: null,
  ended_at: null,
  duration_ms: null,
  outcome: null,
  archives: [],
  removed: [],
  errors: [],
  drills: [],
  anomalies: [],
  filename: null,
  target: null,
  progress: null,
} satisfies Partial<RunView>;
