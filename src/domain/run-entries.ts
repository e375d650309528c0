import type { AnomalyRecord, DrillRecord, RunEnded, RunError, RunStarted } from './journal-entry.ts';
import type { Outcome, Trigger } from './manifest.ts';

/** What the lines of one run have in common. */
export type RunIdentity = Pick<
  RunStarted,
  'run' | 'job' | 'trigger' | 'actor' | 'due' | 'filename' | 'target'
>;

/** Which run of a job it is, why and for whom. */
export interface RunOccasion {
  run: string;
  trigger: Trigger;
  actor: string;
  /** The due time it answers. */
  due?: Date | undefined;
}

/** How a run ended. What is left out was nothing. */
export interface RunEnd {
  outcome: Outcome;
  /** Filenames of what it added. */
  archives?: string[];
  errors?: RunError[];
  missed?: number | undefined;
  removed?: string[];
  drills?: DrillRecord[];
  anomalies?: AnomalyRecord[];
}

/** @param job A job or a maintenance task. */
export function identityOf(job: string, { run, trigger, actor, due }: RunOccasion): RunIdentity {
  return { run, job, trigger, actor, ...(due === undefined ? {} : { due: due.toISOString() }) };
}

/** The line that begins a run. */
export function startedEntry(identity: RunIdentity, startedAt: Date, sources: string[] = []): RunStarted {
  return { event: 'started', at: startedAt.toISOString(), ...fieldsOf(identity), sources };
}

/** The line that ends a run, also one that never started. */
export function endedEntry(identity: RunIdentity, startedAt: Date, endedAt: Date, end: RunEnd): RunEnded {
  const { outcome, archives = [], errors = [], missed, removed, drills = [], anomalies = [] } = end;
  return {
    event: 'ended',
    at: endedAt.toISOString(),
    ...fieldsOf(identity),
    outcome,
    // The clock may have been set back meanwhile.
    duration_ms: Math.max(0, endedAt.getTime() - startedAt.getTime()),
    archives,
    errors,
    ...(missed === undefined ? {} : { missed }),
    ...(removed === undefined ? {} : { removed }),
    ...(drills.length === 0 ? {} : { drills }),
    ...(anomalies.length === 0 ? {} : { anomalies }),
  };
}

/** One by one, since an entry of the journal can stand for an identity and has more. */
function fieldsOf({ run, job, trigger, actor, due, filename, target }: RunIdentity): RunIdentity {
  return {
    run,
    job,
    trigger,
    actor,
    ...(due === undefined ? {} : { due }),
    ...(filename === undefined ? {} : { filename }),
    ...(target === undefined ? {} : { target }),
  };
}
