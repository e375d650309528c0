import { heldBaselines } from '../domain/anomaly.ts';
import { parseTimestamp } from '../domain/archive-name.ts';
import { BackupError, toBackupError } from '../domain/errors.ts';
import { PRUNE_TASK, type RunError } from '../domain/journal-entry.ts';
import type { ManifestSummary, Trigger } from '../domain/manifest.ts';
import {
  planRetention,
  type RetainableArchive,
  type RetentionDecision,
  type RetentionPolicy,
} from '../domain/retention.ts';
import { endedEntry, identityOf, startedEntry } from '../domain/run-entries.ts';
import { NEVER } from '../lib/abort.ts';
import type { EngineContext } from './context.ts';
import { refusePinned } from './deletion.ts';
import type { Scope } from './events.ts';
import { missingArchives } from './inventory.ts';
import { journal, newRunId, taskOutcome } from './journaling.ts';
import { closeDeadRuns } from './recover.ts';
import { sweepLocation } from './sweep.ts';

const HELD_BACK_HINT =
  'Check the clock and the retention policy, look at `cofre prune --dry-run`, then use `cofre prune --force`.';

/** The policy of a source: its job's; that of the top level for a source no job has any more. */
export type PolicyOf = (source: string) => { policy: RetentionPolicy; timezone: string };

export interface PruneRequest {
  policyOf: PolicyOf;
  dryRun: boolean;
  /** Also where more than half of a series goes. */
  force: boolean;
  trigger: Trigger;
  actor: string;
  due?: Date;
}

export interface PruneResult {
  removed: string[];
  decisions: RetentionDecision[];
  /** One message for each series whose removals were held back. */
  heldBack: string[];
  errors: RunError[];
}

/**
 * Applies retention to every series. What could not be deleted stays listed and is an error of the result.
 * Throws LOCK_BUSY when another prune goes on for long.
 */
export async function prune(
  context: EngineContext,
  request: PruneRequest,
  signal: AbortSignal,
): Promise<PruneResult> {
  if (request.dryRun) return { removed: [], errors: [], ...(await decideAll(context, request)) };
  // Two at once would each take its half of a series; and who holds it knows that an open run is a dead one.
  await using _lock = await context.location.lock(`job.${PRUNE_TASK}`, signal);
  await context.journal.refresh();
  await closeDeadRuns(context, PRUNE_TASK);
  return await pruneLocked(context, request, signal);
}

async function pruneLocked(
  context: EngineContext,
  request: PruneRequest,
  signal: AbortSignal,
): Promise<PruneResult> {
  const { decisions, heldBack } = await decideAll(context, request);

  const { actor } = request;
  const startedAt = context.clock.now();
  const run = newRunId(startedAt);
  const scope: Scope = { job: PRUNE_TASK, run, actor };
  const identity = identityOf(PRUNE_TASK, { ...request, run });
  await journal(context, startedEntry(identity, startedAt));

  const removed: string[] = [];
  const errors: RunError[] = [];
  const note = (error: unknown) => {
    const fault = toBackupError(error);
    context.events.failed('prune', scope, fault);
    errors.push(fault.toJSON());
  };
  await sweepLocation(context, actor, signal).catch(note);
  for (const message of heldBack) note(new BackupError('PRUNE_HELD_BACK', message, { hint: HELD_BACK_HINT }));
  for (const { filename, action, reasons } of decisions) {
    if (action === 'keep') continue;
    if (signal.aborted) break;
    try {
      await context.catalogue.remove(filename, refusePinned, signal);
      removed.push(filename);
      context.events.pruneDecided(scope, filename, reasons);
    } catch (error) {
      // Someone else deleted it meanwhile: nothing is left to do.
      if (error instanceof BackupError && error.code === 'ARCHIVE_UNKNOWN') continue;
      note(error);
    }
  }
  if (signal.aborted) errors.push(toBackupError(signal.reason).toJSON());
  const outcome = taskOutcome(errors, signal);
  const ended = endedEntry(identity, startedAt, context.clock.now(), { outcome, errors, removed });
  const isRecorded = await journal(context, ended);
  // Without a record the markers stay, and the next sweep records the deletions. No cancellation any more.
  if (isRecorded) await context.catalogue.dropMarkers(removed, NEVER);
  return { removed, decisions, heldBack, errors };
}

async function decideAll(
  context: EngineContext,
  request: PruneRequest,
): Promise<Pick<PruneResult, 'decisions' | 'heldBack'>> {
  const plans = await planAll(context, request);
  return {
    decisions: plans.flatMap((plan) => plan.decisions),
    heldBack: plans.flatMap((plan) =>
      plan.heldBack === undefined ? [] : [`${plan.source}: ${plan.heldBack.message}`],
    ),
  };
}

async function planAll(context: EngineContext, request: PruneRequest) {
  // A file that is gone must not count as the verified archive that makes another one superfluous.
  const missing = await missingArchives(context);
  const bySource = new Map<string, ManifestSummary[]>();
  for (const manifest of context.catalogue.list()) {
    const series = bySource.get(manifest.source);
    if (series === undefined) bySource.set(manifest.source, [manifest]);
    else series.push(manifest);
  }
  return [...bySource].map(([source, series]) => {
    const { policy, timezone } = request.policyOf(source);
    const now = context.clock.now();
    const held = heldBaselines(series);
    return {
      source,
      ...planRetention(
        series.map((manifest) => retainable(manifest, missing, held)),
        policy,
        timezone,
        now,
        { force: request.force },
      ),
    };
  });
}

function retainable(
  manifest: ManifestSummary,
  missing: ReadonlySet<string>,
  held: ReadonlyMap<string, string>,
): RetainableArchive {
  return {
    filename: manifest.filename,
    at: parseTimestamp(manifest.timestamp) ?? new Date(manifest.created_at),
    pinned: manifest.pinned,
    verified: manifest.verification.ok && !missing.has(manifest.filename),
    incomplete: manifest.incomplete,
    beforeAnomalyOf: held.get(manifest.filename),
  };
}
