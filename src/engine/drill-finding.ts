import { BackupError, type ErrorCode, isStop } from '../domain/errors.ts';
import type { Proof } from '../domain/manifest.ts';
import type { ScratchDatabase } from '../domain/restore-ports.ts';
import type { EngineContext } from './context.ts';

/** What a drill found, before it is recorded. */
export type DrillFinding = Omit<Proof, 'at' | 'duration_ms'> & {
  /** Milliseconds to the data standing restored; absent when it did not come to that. */
  recovery_ms?: number;
};

/** How far a drill is. */
export interface DrillProgress {
  step: 'verify' | 'prepare' | 'restore' | 'compare';
  /** Of the step, so far. */
  bytes: number;
  /** Of the whole step, where it is known. */
  total_bytes?: number;
}

export type OnDrillProgress = (progress: DrillProgress) => void;

/** For what tells how many bytes of a step have passed so far. */
export function tellingStep(
  onProgress: OnDrillProgress,
  step: DrillProgress['step'],
  total_bytes: number,
): (bytes: number) => void {
  return (bytes) => onProgress({ step, bytes, total_bytes });
}

/** What a restore throws because of what the archive holds, and what no other machine would change. */
const OF_ARCHIVE = new Set<ErrorCode>(['RESTORE_FAILED', 'ARCHIVE_UNSAFE', 'DUMP_TRUNCATED', 'DUMP_EMPTY']);

/** Whether an error of a restore says that the archive does not restore. */
export function isOfArchive({ code }: BackupError): boolean {
  return OF_ARCHIVE.has(code);
}

/** Whether an error ends a drill as a whole; anything else that stands in its way is a verdict. */
export function endsDrill({ code }: BackupError): boolean {
  return isStop(code) || code === 'ARCHIVE_UNKNOWN';
}

/** Does the work in something that is then thrown away; what could not be is part of what was found. */
export async function thrownAway(
  { events }: Pick<EngineContext, 'events'>,
  scratch: ScratchDatabase,
  work: (scratch: ScratchDatabase) => Promise<DrillFinding>,
): Promise<DrillFinding> {
  let finding: DrillFinding;
  try {
    finding = await unlessServerDied(scratch, async () => await work(scratch));
  } finally {
    await scratch[Symbol.asyncDispose]();
    const left = scratch.left?.();
    if (left !== undefined) events.scratchLeft(left);
  }
  const left = scratch.left?.();
  return left === undefined ? finding : { ...finding, detail: `${finding.detail}; ${left}` };
}

/** Does the work; when the throwaway server ended by itself meanwhile, that is why it failed, and no fault of the archive. */
async function unlessServerDied<T>(
  { lastWords }: Pick<ScratchDatabase, 'lastWords'>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const words = lastWords?.();
    if (words === undefined) throw error;
    throw new BackupError('NOT_PROVABLE', `the throwaway server ended in the middle of the drill: ${words}`, {
      hint: 'Look for the out-of-memory killer in the system log, and for space in `scratch.directory`.',
      cause: error,
    });
  }
}

/** The detail of an archive that failed before anything was restored. */
export function notAsRecorded(detail: string): string {
  return `the archive is not what was recorded of it: ${detail}`;
}
