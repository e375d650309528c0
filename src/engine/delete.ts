import { BackupError } from '../domain/errors.ts';
import type { Trigger } from '../domain/manifest.ts';
import type { EngineContext } from './context.ts';
import { recordDeletions, refusePinned } from './deletion.ts';

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
    if (!(error instanceof BackupError) || error.code !== 'ARCHIVE_UNKNOWN') throw error;
    const isInterrupted = (await context.catalogue.deletions()).includes(filename);
    if (isInterrupted) await context.catalogue.resumeDeletion(filename, signal);
    else if (!context.journal.histories.archives.has(filename)) throw error;
  }
  await recordDeletions(context, [filename], startedAt, request, signal);
}
