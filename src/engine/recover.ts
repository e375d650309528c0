import { LOCK_SETTLE_MS } from '../catalogue/location.ts';
import { BackupError } from '../domain/errors.ts';
import type { RunEnded, RunStarted } from '../domain/journal-entry.ts';
import { endedEntry } from '../domain/run-entries.ts';
import type { EngineContext } from './context.ts';
import { journal } from './journaling.ts';
import { sweepLocation, sweepScratch, unlessBusy } from './sweep.ts';

/** Puts the location in order at the start of a daemon, which holds the daemon lock already. */
export async function recover(context: EngineContext, signal: AbortSignal): Promise<void> {
  await context.journal.refresh();
  if (context.journal.tornLines > 0) context.events.journalTorn(context.journal.tornLines);
  for (const job of context.journal.histories.names()) {
    await unlessBusy(async () => {
      // A command that runs the job right now holds this lock.
      await using _lock = await context.location.lock(`job.${job}`, signal, LOCK_SETTLE_MS);
      await closeDeadRuns(context, job);
    });
  }
  await sweepLocation(context, 'daemon', signal);
  await sweepScratch(context, 'daemon', signal);
}

/**
 * Gives each run of a job that has no end in the journal one. The caller holds the lock of the job, so
 * whoever started them is dead.
 */
export async function closeDeadRuns(context: EngineContext, job: string): Promise<void> {
  for (const started of await context.journal.openRunsOf(job)) {
    const ended = interrupted(started, context.clock.now());
    await journal(context, ended);
    context.events.runInterrupted(ended);
  }
}

function interrupted(started: RunStarted, now: Date): RunEnded {
  const error = new BackupError('INTERRUPTED', `the process died during this run of ${started.job}`, {
    hint: 'Look in the system log for the out-of-memory killer, a crash or a power loss at that time.',
  });
  return endedEntry(started, new Date(started.at), now, { outcome: 'failed', errors: [error.toJSON()] });
}
