import { LOCK_SETTLE_MS, LOCK_WAIT_MS } from '../catalogue/location.ts';
import { BackupError, toBackupError } from '../domain/errors.ts';
import type { Hooks, Job } from '../domain/job.ts';
import type { RunError } from '../domain/journal-entry.ts';
import type { Manifest, Outcome } from '../domain/manifest.ts';
import { endedEntry, identityOf, startedEntry } from '../domain/run-entries.ts';
import { type Deadline, withDeadline } from '../lib/abort.ts';
import { anomalyRecord } from './anomalies.ts';
import { backupSource } from './backup.ts';
import type { EngineContext } from './context.ts';
import { drillRecord } from './drill.ts';
import { drillEach } from './drill-each.ts';
import { type HookFacts, runHook } from './hooks.ts';
import { journal } from './journaling.ts';
import { PreflightError } from './preflight.ts';
import { closeDeadRuns } from './recover.ts';
import type { RunRequest, RunResult } from './run-request.ts';

/**
 * Runs a job under its lock. A job never overlaps itself: while another process runs it, a scheduled run is
 * skipped at once, and one that a person asked for after a while. Never throws: whatever happens is the
 * result's outcome, in the journal too.
 */
export async function runJob(
  context: EngineContext,
  job: Job,
  request: RunRequest,
  signal: AbortSignal,
): Promise<RunResult> {
  try {
    const wait_ms = request.trigger === 'cli' ? LOCK_WAIT_MS : LOCK_SETTLE_MS;
    await using lock = await context.location.lock(`job.${job.name}`, signal, wait_ms);
    await closeDeadRuns(context, job.name);
    return await runLocked(context, job, request, signal, lock.lost);
  } catch (error) {
    return await notRun(context, job, request, toBackupError(error));
  }
}

/** `after` comes last and always, for it may undo what `before` did. */
const FAILURE_HOOKS = ['failure', 'after'] as const;
const AFTER_HOOKS = ['after'] as const;
/** What a shutdown leaves each hook behind a run. */
const HOOK_GRACE_MS = 5_000;

/**
 * The sources one after the other, where one failing does not stop the next, between the hooks, with a line
 * in the journal before and after.
 */
async function runLocked(
  context: EngineContext,
  job: Job,
  request: RunRequest,
  shutdown: AbortSignal,
  lost: AbortSignal,
): Promise<RunResult> {
  const signal = AbortSignal.any([shutdown, lost]);
  const { run, startedAt } = request;
  const identity = identityOf(job.name, request);
  const started = startedEntry(
    identity,
    startedAt,
    job.sources.map(({ name }) => name),
  );
  await journal(context, started);
  context.events.runStarted(started);

  const archives: Manifest[] = [];
  const errors: RunError[] = [];
  using deadline = withDeadline(signal, job.timeout_ms, `run of job ${job.name}`);
  if (
    await hook(context, job, 'before', request, facts(request, job, '', archives), errors, deadline.signal)
  ) {
    for (const source of job.sources) {
      if (deadline.signal.aborted) break;
      try {
        archives.push(await backupSource(context, job, source, request, deadline.signal));
      } catch (error) {
        errors.push(...runErrors(error, source.name));
      }
    }
  }
  const drills =
    job.drill === 'each'
      ? await drillEach(context, request, archives, errors, deadline.signal, shutdown)
      : [];
  // An abort that came after the last source was done has interrupted nothing.
  const isCutShort = deadline.signal.aborted && archives.length < job.sources.length;
  if (isCutShort && errors.length === 0) errors.push(...runErrors(deadline.signal.reason));

  const outcome = outcomeOf(archives, errors, shutdown);
  const ended = endedEntry(identity, startedAt, context.clock.now(), {
    outcome,
    archives: archives.map(({ filename }) => filename),
    errors,
    missed: request.missed === 0 ? undefined : request.missed,
    drills: drills.map(drillRecord),
    anomalies: archives.flatMap(anomalyRecord),
  });
  await journal(context, ended);
  context.events.runEnded(ended);
  // The run is over and recorded; a hook that fails now is logged and counted, and changes nothing of it.
  const hookFacts = facts(request, job, outcome, archives);
  for (const kind of outcome === 'failed' || outcome === 'cancelled' ? FAILURE_HOOKS : AFTER_HOOKS) {
    using patience = hookDeadline(job, kind, shutdown);
    await hook(context, job, kind, request, hookFacts, [], patience.signal);
  }
  return { job: job.name, run, outcome, archives, errors };
}

/** The end of a run that had no start. */
async function notRun(
  context: EngineContext,
  job: Job,
  request: RunRequest,
  fault: BackupError,
): Promise<RunResult> {
  const { run, actor, startedAt, due, missed = 0 } = request;
  const busy = fault.code === 'LOCK_BUSY';
  const error = busy ? new BackupError('SKIPPED', `another run of the job ${job.name} is under way`) : fault;
  const outcome = busy ? 'skipped' : fault.code === 'CANCELLED' ? 'cancelled' : 'failed';
  // A cancelled one has not answered its due time, which is made up for later.
  const identity = identityOf(job.name, outcome === 'cancelled' ? { ...request, due: undefined } : request);
  const entry = endedEntry(identity, startedAt, context.clock.now(), {
    outcome,
    errors: runErrors(error),
    missed: missed + (due === undefined ? 0 : 1),
  });
  await journal(context, entry);
  if (outcome === 'failed') context.events.failed('run', { job: job.name, run, actor }, fault);
  else context.events.runSkipped(entry);
  return { job: job.name, run, outcome, archives: [], errors: entry.errors };
}

/** Returns whether the run may go on; a fault is added to the errors. */
async function hook(
  context: EngineContext,
  job: Job,
  kind: keyof Hooks,
  request: RunRequest,
  hookFacts: HookFacts,
  errors: RunError[],
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await runHook(kind, job.hooks, hookFacts, signal);
    return true;
  } catch (error) {
    const fault = toBackupError(error);
    context.events.failed('hook', { job: job.name, run: request.run, actor: request.actor }, fault);
    errors.push(...runErrors(fault));
    return false;
  }
}

/**
 * How long a hook behind the run may take: as long as the run. A shutdown may have ended the run already, and
 * its hooks still get their chance, briefly; so does one that is under way when the shutdown comes.
 */
function hookDeadline(job: Job, kind: keyof Hooks, shutdown: AbortSignal): Deadline {
  const ending = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const end = () => {
    timer = setTimeout(() => ending.abort(shutdown.reason), HOOK_GRACE_MS);
  };
  if (shutdown.aborted) end();
  else shutdown.addEventListener('abort', end, { once: true });
  const deadline = withDeadline(ending.signal, job.timeout_ms, `the ${kind} hook of job ${job.name}`);
  return {
    signal: deadline.signal,
    [Symbol.dispose]: () => {
      shutdown.removeEventListener('abort', end);
      clearTimeout(timer);
      deadline[Symbol.dispose]();
    },
  };
}

function facts(request: RunRequest, job: Job, outcome: string, archives: readonly Manifest[]): HookFacts {
  return {
    COFRE_JOB: job.name,
    COFRE_RUN: request.run,
    COFRE_OUTCOME: outcome,
    COFRE_ARCHIVES: archives.map(({ filepath }) => filepath).join('\n'),
  };
}

function outcomeOf(archives: readonly Manifest[], errors: readonly RunError[], signal: AbortSignal): Outcome {
  if (signal.aborted && errors.length > 0) return 'cancelled';
  if (errors.length > 0) return 'failed';
  return archives.some(({ incomplete }) => incomplete) ? 'incomplete' : 'succeeded';
}

function runErrors(error: unknown, source?: string): RunError[] {
  const of = source === undefined ? {} : { source };
  if (error instanceof PreflightError) return error.faults.map((fault) => ({ ...fault.toJSON(), ...of }));
  return [{ ...toBackupError(error).toJSON(), ...of }];
}
