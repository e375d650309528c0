import { parseArchiveName } from '../domain/archive-name.ts';
import { BackupError, toBackupError } from '../domain/errors.ts';
import { ARCHIVE_TYPES } from '../domain/manifest.ts';
import type { EngineContext } from './context.ts';
import { recordDeletions } from './deletion.ts';
import type { Scope, Step } from './events.ts';

/** Removes the unfinished archives of one source. The caller holds that source's lock. */
export async function sweepPartials(context: EngineContext, source: string): Promise<void> {
  for (const type of ARCHIVE_TYPES) {
    const leftovers = (await context.store.leftovers(type)).filter(
      ({ filename }) => parseArchiveName(filename)?.source === source,
    );
    const rejected = leftovers
      .filter(({ state }) => state === 'failed')
      .sort((a, b) => (a.filename < b.filename ? 1 : -1));
    // The newest rejected archive is there to be looked at; older ones would fill a failing disk.
    const obsolete = [...leftovers.filter(({ state }) => state === 'partial'), ...rejected.slice(1)];
    for (const leftover of obsolete) {
      await context.store.removeLeftover(leftover);
      context.events.leftoverSwept(source, leftover.filename);
    }
  }
}

/**
 * Puts in order what a crash may have left: interrupted deletions are finished, unfinished archives of
 * sources nobody is capturing removed. What has no manifest, or one that cannot be read, is reported.
 */
export async function sweepLocation(
  context: EngineContext,
  actor: string,
  signal: AbortSignal,
): Promise<void> {
  await finishDeletions(context, actor, signal);
  {
    await using _lock = await context.location.lock('catalogue', signal);
    await context.location.sweepTemporaries();
  }
  for (const source of await sourcesWithPartials(context)) {
    await unlessBusy(async () => {
      await using _lock = await context.location.lock(`run.${source}`, signal, 0);
      await sweepPartials(context, source);
    });
  }
  for (const filename of await context.catalogue.orphans()) context.events.orphanFound(filename);
  for (const fault of context.catalogue.faults()) context.events.manifestUnreadable(fault);
}

/**
 * Removes what drills, restores and dumps that died left. What stands in the way, such as a scratch server that cannot
 * be reached, keeps neither a daemon from its start nor a drill from its verdict.
 */
export async function sweepScratch(
  context: EngineContext,
  actor: string,
  signal: AbortSignal,
): Promise<void> {
  const sweep = async () => (await context.openRestoreAdapters()).sweepScratch(signal);
  await unlessInTheWay(context, { actor }, 'drill', signal, sweep);
}

/** The same on this machine only, before a dump that is staged there takes the room. */
export async function sweepStaging(context: EngineContext, scope: Scope, signal: AbortSignal): Promise<void> {
  const sweep = async () => (await context.openRestoreAdapters()).sweepScratchDirectories(signal);
  await unlessInTheWay(context, scope, 'capture', signal, sweep);
}

async function unlessInTheWay(
  context: EngineContext,
  scope: Partial<Scope>,
  step: Step,
  signal: AbortSignal,
  sweep: () => Promise<string[]>,
): Promise<void> {
  try {
    for (const name of await sweep()) context.events.scratchSwept(name);
  } catch (error) {
    signal.throwIfAborted();
    context.events.failed(step, scope, toBackupError(error));
  }
}

async function finishDeletions(context: EngineContext, actor: string, signal: AbortSignal): Promise<void> {
  const startedAt = context.clock.now();
  const finished: string[] = [];
  for (const filename of await context.catalogue.deletions()) {
    try {
      await context.catalogue.resumeDeletion(filename, signal);
      finished.push(filename);
      context.events.deletionFinished(filename);
    } catch (error) {
      signal.throwIfAborted();
      // One file that cannot be unlinked must not keep a daemon from its start.
      context.events.failed('prune', { actor }, toBackupError(error));
    }
  }
  if (finished.length === 0) return;
  await recordDeletions(context, finished, startedAt, { trigger: 'catch-up', actor }, signal);
}

async function sourcesWithPartials(context: EngineContext): Promise<Set<string>> {
  const sources = new Set<string>();
  for (const type of ARCHIVE_TYPES) {
    for (const { filename } of await context.store.leftovers(type)) {
      const source = parseArchiveName(filename)?.source;
      if (source !== undefined) sources.add(source);
    }
  }
  return sources;
}

/** Does the work, unless a lock it needs is held: then whoever holds it is alive, and nothing is to be cleared. */
export async function unlessBusy(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof BackupError) || error.code !== 'LOCK_BUSY') throw error;
  }
}
