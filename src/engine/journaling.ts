import { randomBytes } from 'node:crypto';
import { formatTimestamp } from '../domain/archive-name.ts';
import { toBackupError } from '../domain/errors.ts';
import type { JournalEntry, RunError } from '../domain/journal-entry.ts';
import type { Outcome } from '../domain/manifest.ts';
import type { EngineContext } from './context.ts';

/** `20251024_120015-3f9a1c`: sorts by time, unique across processes. */
export function newRunId(at: Date): string {
  return `${formatTimestamp(at)}-${randomBytes(3).toString('hex')}`;
}

/**
 * How a maintenance task ended that noted its errors and stopped early where the signal aborted. One that ran out
 * of time failed: to make up for it would only take that long again.
 */
export function taskOutcome(errors: readonly RunError[], signal: AbortSignal): Outcome {
  if (signal.aborted && toBackupError(signal.reason).code !== 'TIMEOUT') return 'cancelled';
  return errors.length > 0 ? 'failed' : 'succeeded';
}

/**
 * Writes an entry; a journal that cannot be written must not stop a backup that can. Returns whether the
 * entry is on disk.
 */
export async function journal(context: EngineContext, entry: JournalEntry): Promise<boolean> {
  try {
    await context.journal.append(entry);
    return true;
  } catch (error) {
    context.events.failed('journal', { job: entry.job }, toBackupError(error));
    return false;
  }
}
