import { BackupError } from '../domain/errors.ts';
import { DELETE_TASK } from '../domain/journal-entry.ts';
import type { Manifest, Trigger } from '../domain/manifest.ts';
import type { EngineContext } from './context.ts';
import { journal, newRunId } from './journaling.ts';

/** Throws ARCHIVE_PINNED; for deletions of every kind. */
export function refusePinned(manifest: Manifest): void {
  if (!manifest.pinned) return;
  throw new BackupError('ARCHIVE_PINNED', `${manifest.filename} is pinned`, {
    path: manifest.filename,
    hint: `Unpin it first: cofre unpin ${manifest.filename}`,
  });
}

/** Writes deletions whose archives are unlinked to the journal, then ends them. */
export async function recordDeletions(
  context: EngineContext,
  removed: string[],
  startedAt: Date,
  request: { trigger: Trigger; actor: string },
  signal: AbortSignal,
): Promise<void> {
  const at = context.clock.now();
  const isRecorded = await journal(context, {
    event: 'ended',
    at: at.toISOString(),
    run: newRunId(startedAt),
    job: DELETE_TASK,
    ...request,
    outcome: 'succeeded',
    duration_ms: Math.max(0, at.getTime() - startedAt.getTime()),
    archives: [],
    errors: [],
    removed,
  });
  // Without a record the markers stay, and the next sweep tries again.
  if (isRecorded) await context.catalogue.dropMarkers(removed, signal);
}
