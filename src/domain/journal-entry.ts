import type { ErrorDocument } from './errors.ts';
import type { AnomalyKind, Outcome, Trigger, Verdict } from './manifest.ts';

/**
 * One line of `<location>/journal.jsonl`. The name of a maintenance task (`TASKS`) stands where that of a job does;
 * no job can be called so.
 */
export type JournalEntry = JobSeen | RunStarted | RunEnded;

/** The first sight of a job, or of its new schedule: due times count from here on. */
export interface JobSeen {
  event: 'scheduled';
  at: string;
  job: string;
  schedule: string;
  timezone: string;
}

export interface RunStarted {
  event: 'started';
  at: string;
  run: string;
  job: string;
  trigger: Trigger;
  actor: string;
  /** The due time this run answers, for scheduled and made-up runs. ISO 8601, UTC. */
  due?: string;
  sources: string[];
  /** Restores: the archive, and where it goes, for people and without a password. */
  filename?: string;
  target?: string;
}

export interface RunEnded {
  event: 'ended';
  at: string;
  run: string;
  job: string;
  trigger: Trigger;
  actor: string;
  due?: string;
  filename?: string;
  target?: string;
  outcome: Outcome;
  duration_ms: number;
  /** Filenames of what the run added. */
  archives: string[];
  errors: RunError[];
  /** Due times that passed without a run of their own before this one. */
  missed?: number;
  /** Filenames of what a prune or a deletion removed. */
  removed?: string[];
  /** What the drills of this run found. */
  drills?: DrillRecord[];
  /** Those of `archives` whose contents shrank against their series. */
  anomalies?: AnomalyRecord[];
}

/** The anomaly of one archive, as it stands in the journal. */
export interface AnomalyRecord {
  filename: string;
  /** Each once. */
  kinds: AnomalyKind[];
}

/** One drill, as it stands in the journal. */
export interface DrillRecord {
  filename: string;
  verdict: Verdict;
  duration_ms: number;
}

/** An error of a run, with the source it befell. */
export interface RunError extends ErrorDocument {
  source?: string;
}

/** A deletion asked for by someone, which has an end and no start. */
export const DELETE_TASK = '@delete';
export const PRUNE_TASK = '@prune';
export const SCRUB_TASK = '@scrub';
/** Manifests made anew from archives, which has an end and no start. */
export const REBUILD_TASK = '@rebuild';
/** Drills and restores that someone asks for. */
export const DRILL_TASK = '@drill';
export const RESTORE_TASK = '@restore';

/** Every maintenance task but the drills of single jobs. */
export const TASKS = [PRUNE_TASK, SCRUB_TASK, DELETE_TASK, REBUILD_TASK, DRILL_TASK, RESTORE_TASK] as const;

/** The drills of a job that are on a schedule of their own. */
export function drillTaskOf(job: string): string {
  return `${DRILL_TASK}.${job}`;
}

/** Whether a name in the journal is that of a maintenance task. */
export function isTask(job: string): boolean {
  return job.startsWith('@');
}

const EVENTS = new Set(['scheduled', 'started', 'ended']);

/** A journal line as an entry; undefined for a torn or foreign line. */
export function parseJournalLine(line: string): JournalEntry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const {
    event,
    at,
    job,
    run,
    archives,
    errors,
    removed = [],
    drills = [],
    anomalies = [],
  } = value as Record<string, unknown>;
  if (typeof event !== 'string' || !EVENTS.has(event)) return undefined;
  if (typeof job !== 'string' || typeof at !== 'string' || Number.isNaN(Date.parse(at))) return undefined;
  if (event !== 'scheduled' && typeof run !== 'string') return undefined;
  // What folds the entries goes through these: one line that someone edited must not stop a daemon.
  if (event === 'ended') {
    if (![archives, errors, removed, drills, anomalies].every(Array.isArray)) return undefined;
    if (!(anomalies as unknown[]).every(isAnomalyRecord)) return undefined;
  }
  return value as JournalEntry;
}

function isAnomalyRecord(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { filename, kinds } = value as Record<string, unknown>;
  return typeof filename === 'string' && Array.isArray(kinds);
}
