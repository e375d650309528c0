import { BackupError } from '../domain/errors.ts';
import { DELETE_TASK } from '../domain/journal-entry.ts';
import type { Manifest, Trigger } from '../domain/manifest.ts';
import { endedEntry, identityOf } from '../domain/run-entries.ts';
import type { EngineContext } from './context.ts';
import { journal, newRunId } from './journaling.ts';

/** Throws ARCHIVE_PINNED; for deletions of every kind. */
export function refusePinned(manifest: Manifest): void {
  if (!manifest.pinned) return;
  throw new BackupError('ARCHIVE_PINNED', `${manifest.filename} is pinned`, {
    path: manifest.filename,
    hint: `Unpin it first: \`cofre unpin ${manifest.filename}\`.`,
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
  const identity = identityOf(DELETE_TASK, { ...request, run: newRunId(startedAt) });
  const ended = endedEntry(identity, startedAt, context.clock.now(), { outcome: 'succeeded', removed });
  const isRecorded = await journal(context, ended);
  // Without a record the markers stay, and the next sweep tries again.
  if (isRecorded) await context.catalogue.dropMarkers(removed, signal);
}
