import { isFarAhead } from '../domain/far-ahead.ts';
import { toBackupError } from '../domain/errors.ts';
import { type RunError, SCRUB_TASK } from '../domain/journal-entry.ts';
import type { ManifestSummary, Trigger } from '../domain/manifest.ts';
import { endedEntry, identityOf, startedEntry } from '../domain/run-entries.ts';
import type { EngineContext } from './context.ts';
import type { Scope } from './events.ts';
import { journal, newRunId, taskOutcome } from './journaling.ts';
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
  const startedAt = context.clock.now();
  const run = newRunId(startedAt);
  const scope: Scope = { job: SCRUB_TASK, run, actor: request.actor };
  const identity = identityOf(SCRUB_TASK, { ...request, run });
  await journal(context, startedEntry(identity, startedAt));

  const archives = context.catalogue
    .list()
    .toSorted((a, b) => verifiedAt(a, startedAt) - verifiedAt(b, startedAt));
  const results: VerifyResult[] = [];
  const errors: RunError[] = [];
  const wanted = Math.ceil(archives.length * request.share);
  for (const { filename, source } of archives) {
    // One that cannot be checked takes no place, or it would take the same one each time.
    if (signal.aborted || results.length === wanted) break;
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
  const outcome = taskOutcome(errors, signal);
  await journal(context, endedEntry(identity, startedAt, context.clock.now(), { outcome, errors }));
  return results;
}

/** Milliseconds since 1970. A time that a wrong clock wrote says nothing, and would put the archive last for years. */
function verifiedAt({ verification }: ManifestSummary, now: Date): number {
  const at = new Date(verification.at);
  return isFarAhead(at, now) ? 0 : at.getTime();
}
