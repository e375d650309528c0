import { BackupError } from '../domain/errors.ts';
import { DELETE_TASK } from '../domain/journal-entry.ts';
import type { Trigger } from '../domain/manifest.ts';
import type { EngineContext } from './context.ts';
import { journal, newRunId } from './journaling.ts';
import { refusePinned } from './prune.ts';

/**
 * Deletes one backup because someone asks for it: only a pin refuses. One whose files were lost by other
 * means is struck off the journal, so that it is no longer missed.
 */
export async function deleteArchive(
  context: EngineContext,
  filename: string,
  request: { trigger: Trigger; actor: string },
  signal: AbortSignal,
): Promise<void> {
  const startedAt = context.clock.now();
  await context.journal.refresh();
  try {
    await context.catalogue.remove(filename, refusePinned, signal);
  } catch (error) {
    const isLost = context.journal.histories.archives.has(filename);
    if (!isLost || !(error instanceof BackupError) || error.code !== 'ARCHIVE_UNKNOWN') throw error;
  }
  const at = context.clock.now();
  await journal(context, {
    event: 'ended',
    at: at.toISOString(),
    run: newRunId(startedAt),
    job: DELETE_TASK,
    ...request,
    outcome: 'succeeded',
    duration_ms: Math.max(0, at.getTime() - startedAt.getTime()),
    archives: [],
    errors: [],
    removed: [filename],
  });
}
