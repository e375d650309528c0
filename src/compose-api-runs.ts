import { join } from 'node:path';
import type { ApiParts } from './compose-api.ts';
import type { RestoreTargetConfig } from './config/config.ts';
import { BackupError, toBackupError } from './domain/errors.ts';
import type { Job } from './domain/job.ts';
import { RESTORE_TASK, type RunError } from './domain/journal-entry.ts';
import type { Manifest, Outcome } from './domain/manifest.ts';
import { chooseJobs } from './engine/choose-jobs.ts';
import { newRunId } from './engine/journaling.ts';
import { restore } from './engine/restore.ts';
import type { ProgressStep } from './engine/run-board.ts';
import { runJob } from './engine/run.ts';
import type { RunResult } from './engine/run-request.ts';
import type { Begun, Operations } from './http/api/operations.ts';
import { NEVER } from './lib/abort.ts';

/** Throws CANCELLED while the daemon starts or stops: what it then began nobody would wait for. */
export function assertReady({ isReady }: ApiParts): void {
  if (isReady()) return;
  throw new BackupError('CANCELLED', 'cofre is starting or stopping', { hint: 'Try again in a moment.' });
}

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

/** A restore into one of the configured targets, beside the scheduled runs. */
export function startRestore(parts: ApiParts): Operations['startRestore'] {
  return async (filename, { target, as, ...wish }, actor) => {
    assertReady(parts);
    const { context } = parts.app;
    const manifest = await context.catalogue.read(filename);
    const to = placeOf(targetNamed(parts, target), manifest, as);
    return beginAsked(parts, RESTORE_TASK, actor, (run, signal, onProgress) =>
      restore(context, { filename, to, run, trigger: 'api', actor, onProgress, ...wish }, signal),
    );
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

/** Whether another process runs the job. A run without an end may also be one that died: its lock tells. */
async function isRunElsewhere({ app, scheduler }: ApiParts, { name }: Job): Promise<boolean> {
  const { journal, location } = app.context;
  await journal.refresh();
  if (scheduler.running().has(name) || journal.histories.of(name).open.length === 0) return false;
  try {
    await using _lock = await location.lock(`job.${name}`, NEVER, 0);
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

function targetNamed({ config }: ApiParts, name: string): RestoreTargetConfig {
  const { restoreTargets } = config().http;
  const target = restoreTargets.find((known) => known.name === name);
  if (target !== undefined) return target;
  const known = restoreTargets.map((each) => each.name).join(', ');
  // What is not the name of a target may be a URI with a password: it is not repeated.
  throw new BackupError('TARGET_REFUSED', '`to` is not the name of a configured target', {
    path: 'to',
    hint: `A restore over HTTP goes to a target of \`http.restoreTargets\` (${known || 'there is none yet'}), never to any other place; \`cofre restore\` does.`,
  });
}

/** Throws USAGE when the target is not for archives of this type. */
function placeOf(target: RestoreTargetConfig, { type, source, timestamp }: Manifest, as?: string): string {
  if ('url' in target !== (type === 'database')) {
    const [is, wants] = type === 'database' ? ['a database', 'url'] : ['files', 'directory'];
    throw new BackupError('USAGE', `an archive of ${is} is restored to a target with \`${wants}\``, {
      path: 'to',
      hint: 'Name another target.',
    });
  }
  if ('directory' in target) return join(target.directory, as ?? `${source}_${timestamp}`);
  return as === undefined ? target.url : withDatabase(target.url, as);
}

/** Of several hosts a URI cannot be taken apart by `URL`. */
function withDatabase(uri: string, database: string): string {
  const [, server = '', query = ''] = /^([^:]+:\/\/[^/?]*)[^?]*(\?.*)?$/s.exec(uri) ?? [];
  return `${server}/${encodeURIComponent(database)}${query}`;
}
