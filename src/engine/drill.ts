import { type BackupError, toBackupError } from '../domain/errors.ts';
import type { DrillRecord, RunError } from '../domain/journal-entry.ts';
import type { Proof, Trigger, Verdict } from '../domain/manifest.ts';
import { endedEntry, identityOf, startedEntry } from '../domain/run-entries.ts';
import type { EngineContext } from './context.ts';
import { drillDatabase } from './drill-database.ts';
import { drillFiles } from './drill-files.ts';
import { type DrillFinding, type DrillProgress, endsDrill } from './drill-finding.ts';
import type { Scope } from './events.ts';
import { journal, newRunId, taskOutcome } from './journaling.ts';
import { sweepScratch } from './sweep.ts';
import { holdTask } from './task-hold.ts';

export interface DrillResult {
  filename: string;
  verdict: Verdict;
  detail: string;
  duration_ms: number;
}

export interface DrillRequest {
  /** As in the journal: `@drill`, or that of a job's own schedule. */
  task: string;
  /** The id of the run, where it was told to someone already. */
  run?: string;
  filenames: readonly string[];
  trigger: Trigger;
  actor: string;
  due?: Date;
  onProgress?: (filename: string, progress: DrillProgress) => void;
}

/** Drills archives one after the other, with a line in the journal before and after. */
export async function drill(
  context: EngineContext,
  request: DrillRequest,
  signal: AbortSignal,
): Promise<DrillResult[]> {
  const { task, actor, filenames } = request;
  const startedAt = context.clock.now();
  const run = request.run ?? newRunId(startedAt);
  const scope: Scope = { job: task, run, actor };
  const identity = identityOf(task, { ...request, run });
  await using _held = await holdTask(context, task, signal);
  await journal(context, startedEntry(identity, startedAt));
  const results: DrillResult[] = [];
  const errors: RunError[] = [];
  try {
    await sweepScratch(context, actor, signal);
    for (const filename of filenames) {
      const onProgress = (progress: DrillProgress) => request.onProgress?.(filename, progress);
      const result = await drillArchive(context, filename, scope, signal, onProgress);
      results.push(result);
      if (result.verdict === 'failed') errors.push(drillError(result));
    }
  } catch (error) {
    const fault = toBackupError(signal.aborted ? signal.reason : error);
    context.events.failed('drill', scope, fault);
    errors.push(fault.toJSON());
    throw fault;
  } finally {
    const outcome = taskOutcome(errors, signal);
    const drills = results.map(drillRecord);
    await journal(context, endedEntry(identity, startedAt, context.clock.now(), { outcome, errors, drills }));
  }
  return results;
}

/**
 * Proves that one archive restores, or that it does not, and records the verdict in its manifest. Whatever keeps
 * this machine from an answer is `not provable here`, never rounded up.
 * Throws only when there is no such archive, or the signal aborts.
 */
export async function drillArchive(
  context: EngineContext,
  filename: string,
  scope: Scope,
  signal: AbortSignal,
  onProgress: (progress: DrillProgress) => void = () => undefined,
): Promise<DrillResult> {
  const manifest = await context.catalogue.read(filename);
  const within: Scope = { ...scope, source: manifest.source };
  const startedAt = context.clock.now();
  const work = manifest.type === 'files' ? drillFiles : drillDatabase;
  const finding = await work(context, manifest, signal, onProgress).catch((error: unknown) => {
    signal.throwIfAborted();
    return unproven(context, within, toBackupError(error));
  });
  const now = context.clock.now();
  const duration_ms = finding.recovery_ms ?? Math.max(0, now.getTime() - startedAt.getTime());
  const { verdict, detail, versions } = finding;
  const proof: Proof = { verdict, at: now.toISOString(), duration_ms, detail, versions };
  context.events.archiveDrilled(within, filename, proof);
  return { filename, verdict, detail: await record(context, within, filename, proof, signal), duration_ms };
}

export function drillRecord({ filename, verdict, duration_ms }: DrillResult): DrillRecord {
  return { filename, verdict, duration_ms };
}

/** What a run, or the journal, says of an archive that failed its drill. */
export function drillError({ filename, detail }: DrillResult, source?: string): RunError {
  return {
    code: 'DRILL_FAILED',
    message: `${filename} does not restore to what was recorded: ${detail}`,
    hint: 'Do not rely on this archive: look at `cofre show`, prove an older one with `cofre drill`, and take a new backup.',
    path: filename,
    ...(source === undefined ? {} : { source }),
  };
}

function unproven(context: EngineContext, scope: Scope, fault: BackupError): DrillFinding {
  if (endsDrill(fault)) throw fault;
  // What a machine lacks is an answer; anything else is a fault that somebody should look at.
  if (fault.code !== 'NOT_PROVABLE') context.events.failed('drill', scope, fault);
  // What to do about it is half of the answer.
  const detail = fault.hint === undefined ? fault.message : `${fault.message}. ${fault.hint}`;
  return { verdict: 'not provable here', detail, versions: { cofre: context.version } };
}

/** Returns the detail, with a remark where it could not be recorded. */
async function record(
  context: EngineContext,
  scope: Scope,
  filename: string,
  proof: Proof,
  signal: AbortSignal,
): Promise<string> {
  try {
    await context.catalogue.update(filename, (current) => ({ ...current, proof }), signal);
    return proof.detail;
  } catch (error) {
    const fault = toBackupError(error);
    if (signal.aborted) throw fault;
    context.events.failed('drill', scope, fault);
    return `${proof.detail}; this could not be recorded: ${fault.message}`;
  }
}
