import { BackupError, isStop, toBackupError } from '../domain/errors.ts';
import { RESTORE_TASK, type RunError } from '../domain/journal-entry.ts';
import type { Manifest } from '../domain/manifest.ts';
import { describeSome } from '../domain/plural.ts';
import { endedEntry, identityOf, startedEntry } from '../domain/run-entries.ts';
import type { EngineContext } from './context.ts';
import type { Scope } from './events.ts';
import { journal, newRunId, taskOutcome } from './journaling.ts';
import { restoreDatabase } from './restore-database.ts';
import { restoreFiles } from './restore-files.ts';
import type { RestoreReport, RestoreRequest } from './restore-request.ts';
import { holdTask } from './task-hold.ts';

/**
 * Restores one archive: the place is looked at, the archive verified, and only then anything is touched. What was
 * restored is held against the manifest. The journal tells who restored what and when; not a dry run.
 *
 * Throws ARCHIVE_UNKNOWN, ARCHIVE_CORRUPT, TARGET_REFUSED, ARCHIVE_UNSAFE or SPACE_LOW with nothing touched, and
 * RESTORE_FAILED with a message that says in what state the target is.
 */
export async function restore(
  context: EngineContext,
  request: RestoreRequest,
  signal: AbortSignal,
): Promise<RestoreReport> {
  const manifest = await context.catalogue.read(request.filename);
  const work = manifest.type === 'files' ? restoreFiles : restoreDatabase;
  if (request.dryRun) return await work(context, manifest, request, signal);

  const { filename } = manifest;
  const target = await describeTarget(context, manifest, request);
  const startedAt = context.clock.now();
  const { run = newRunId(startedAt), trigger = 'cli', actor } = request;
  const occasion = { run, trigger, actor };
  const identity = { ...identityOf(RESTORE_TASK, occasion), filename, target };
  const scope: Scope = { ...identity, source: manifest.source };
  await using _held = await holdTask(context, RESTORE_TASK, signal);
  await journal(context, startedEntry(identity, startedAt, [manifest.source]));
  context.events.restoreStarted(scope, filename);
  const end = async (errors: RunError[]) => {
    const outcome = taskOutcome(errors, signal);
    await journal(context, endedEntry(identity, startedAt, context.clock.now(), { outcome, errors }));
  };
  try {
    // A copy of an archive that a dead restore left may take the space that this one needs.
    for (const name of await sweptDirectories(context, signal)) context.events.scratchSwept(name);
    const report = await work(context, manifest, request, signal);
    context.events.restoreEnded(scope, report.filename, report.target, report.differences);
    await end(report.differences.length === 0 ? [] : [differenceError(report).toJSON()]);
    return report;
  } catch (error) {
    // What stopped it may be told with the state of the target, which the reason of an abort does not know.
    const told = error instanceof BackupError && isStop(error.code);
    const fault = toBackupError(signal.aborted && !told ? signal.reason : error, 'restore');
    context.events.failed('restore', scope, fault);
    await end([fault.toJSON()]);
    throw fault;
  }
}

async function describeTarget(
  { openRestoreAdapters }: EngineContext,
  { type }: Manifest,
  { to }: RestoreRequest,
): Promise<string> {
  const restoring = await openRestoreAdapters();
  if (type === 'files') return restoring.openDirectory(to).path;
  return await restoring.openDatabase({ url: to }, { scratch: false }).describe();
}

/** What the journal says of a restore that went through and did not yield what was recorded. */
function differenceError({ filename, target, differences }: RestoreReport): BackupError {
  return new BackupError(
    'RESTORE_FAILED',
    `what was restored of ${filename} into ${target} is not what was recorded: ${describeSome(differences)}`,
    {
      path: filename,
      hint: 'Do not use what stands there before you know why: look for triggers or other sessions that changed it, or restore into an empty place.',
    },
  );
}

async function sweptDirectories(
  { openRestoreAdapters }: EngineContext,
  signal: AbortSignal,
): Promise<string[]> {
  try {
    return await (await openRestoreAdapters()).sweepScratchDirectories(signal);
  } catch {
    // What is in the way of a restore is said by the restore.
    return [];
  }
}
