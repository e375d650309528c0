import { toBackupError } from '../domain/errors.ts';
import { type RunError, SCRUB_TASK } from '../domain/journal-entry.ts';
import type { Trigger } from '../domain/manifest.ts';
import type { EngineContext } from './context.ts';
import type { Scope } from './events.ts';
import { journal, newRunId } from './journaling.ts';
import { verifyArchive, type VerifyResult } from './verify.ts';

export interface ScrubRequest {
  /** Of all archives, above 0 up to 1. */
  share: number;
  trigger: Trigger;
  actor: string;
  due?: Date;
}

/** Verifies a share of the archives again, from the disk, the longest unverified first. */
export async function scrub(
  context: EngineContext,
  request: ScrubRequest,
  signal: AbortSignal,
): Promise<VerifyResult[]> {
  const { trigger, actor } = request;
  const startedAt = context.clock.now();
  const run = newRunId(startedAt);
  const scope: Scope = { job: SCRUB_TASK, run, actor };
  const due = request.due === undefined ? {} : { due: request.due.toISOString() };
  const identity = { run, job: SCRUB_TASK, trigger, actor, ...due };
  await journal(context, { event: 'started', at: startedAt.toISOString(), ...identity, sources: [] });

  const archives = context.catalogue
    .list()
    .toSorted((a, b) => (a.verification.at < b.verification.at ? -1 : 1));
  const results: VerifyResult[] = [];
  const errors: RunError[] = [];
  for (const { filename, source } of archives.slice(0, Math.ceil(archives.length * request.share))) {
    if (signal.aborted) break;
    try {
      const result = await verifyArchive(context, filename, 'contents', scope, signal);
      results.push(result);
      if (!result.valid)
        errors.push({ code: 'ARCHIVE_CORRUPT', message: `${filename}: ${result.detail}`, source });
    } catch (error) {
      const fault = toBackupError(error);
      // Pruned while we were at it.
      if (fault.code === 'ARCHIVE_UNKNOWN') continue;
      context.events.failed('scrub', { ...scope, source }, fault);
      errors.push({ ...fault.toJSON(), source });
    }
  }
  await journal(context, {
    event: 'ended',
    at: context.clock.now().toISOString(),
    ...identity,
    outcome: signal.aborted ? 'cancelled' : errors.length > 0 ? 'failed' : 'succeeded',
    duration_ms: Math.max(0, context.clock.now().getTime() - startedAt.getTime()),
    archives: [],
    errors,
  });
  return results;
}
