import { type ApiParts, assertReady } from './compose-api-parts.ts';
import { BackupError, toBackupError } from './domain/errors.ts';
import type { Job } from './domain/job.ts';
import type { RunError } from './domain/journal-entry.ts';
import type { Outcome } from './domain/manifest.ts';
import { chooseJobs } from './engine/choose-jobs.ts';
import { newRunId } from './engine/journaling.ts';
import type { ProgressStep } from './engine/run-board.ts';
import { runJob } from './engine/run.ts';
import type { RunResult } from './engine/run-request.ts';
import type { Begun, Operations } from './http/api/operations.ts';
import { NEVER } from './lib/abort.ts';

/** One run for each job, none of which is under way, in the queue of the scheduled runs. */
export function startBackups(parts: ApiParts): Operations['startBackups'] {
  return async (name, actor) => {
    assertReady(parts);
    const chosen = chooseJobs(parts.jobs(), name === undefined ? [] : [name]);
    for (const job of chosen) if (await isRunElsewhere(parts, job)) throw busy(job);
    // Without an await from here on, so that of two at once one sees the other.
    const running = parts.scheduler.running();
    for (const job of chosen) if (running.has(job.name)) throw busy(job);
    return chosen.map((job) => beginBackup(parts, job, actor));
  };
}

/** Work that is no backup of a job: it waits for no scheduled run. Throws JOB_BUSY when too much is under way. */
export function beginAsked<T>(
  { app, board, asked }: ApiParts,
  task: string,
  actor: string,
  work: (run: string, signal: AbortSignal, onProgress: (step: ProgressStep) => void) => Promise<T>,
): Begun<T> {
  asked.assertRoom();
  const { clock } = app.context;
  const from = clock.now();
  const run = newRunId(from);
  const view = board.queued(task, { run, trigger: 'api', actor });
  const end = (outcome: Outcome, errors: RunError[] = []) =>
    board.ended(run, from, clock.now(), { outcome, errors });
  const perform = async () => {
    try {
      const result = await asked.perform((signal) => work(run, signal, (step) => board.progress(run, step)));
      end('succeeded');
      return result;
    } catch (error) {
      const fault = toBackupError(error);
      end(fault.code === 'CANCELLED' ? 'cancelled' : 'failed', [fault.toJSON()]);
      throw fault;
    }
  };
  return { run: view, done: handled(perform()) };
}

function beginBackup(parts: ApiParts, job: Job, actor: string): Begun<RunResult> {
  const { app, board, scheduler } = parts;
  const { context } = app;
  const from = context.clock.now();
  const run = newRunId(from);
  const view = board.queued(job.name, { run, trigger: 'api', actor });
  const perform = async () => {
    let result: RunResult | undefined;
    await scheduler.perform(job.name, async (signal) => {
      const startedAt = context.clock.now();
      const onProgress = (step: ProgressStep) => board.progress(run, step);
      result = await runJob(context, job, { run, startedAt, trigger: 'api', actor, onProgress }, signal);
    });
    if (result !== undefined) return result;
    const fault = new BackupError('CANCELLED', `cofre is stopping: the run of ${job.name} was not begun`);
    board.ended(run, from, context.clock.now(), { outcome: 'cancelled', errors: [fault.toJSON()] });
    throw fault;
  };
  return { run: view, done: handled(perform()) };
}

/** Who does not wait for the end need not hear of a failure, which log and journal tell. */
function handled<T>(done: Promise<T>): Promise<T> {
  done.catch(() => undefined);
  return done;
}

/** Whether another process runs the job; also one that has written the end to the journal, and is at its last hook. */
async function isRunElsewhere({ app, scheduler }: ApiParts, { name }: Job): Promise<boolean> {
  if (scheduler.running().has(name)) return false;
  try {
    await using _lock = await app.context.location.lock(`job.${name}`, NEVER, 0);
    return false;
  } catch (error) {
    if (error instanceof BackupError && error.code === 'LOCK_BUSY') return true;
    throw error;
  }
}

function busy({ name }: Job): BackupError {
  return new BackupError('JOB_BUSY', `the job ${name} is under way already`, {
    path: name,
    hint: 'Wait for its end: GET /api/v1/runs tells it.',
  });
}
