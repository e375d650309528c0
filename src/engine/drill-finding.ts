import { BackupError } from '../domain/errors.ts';
import type { Proof } from '../domain/manifest.ts';

/** What a drill found, before it is recorded. */
export type DrillFinding = Omit<Proof, 'at' | 'duration_ms' | 'versions'> & {
  versions: Proof['versions'];
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

/** How many differences are named; the rest is counted. */
const NAMED = 20;

/** A list of any length as one text for people. */
export function describeSome(items: readonly string[]): string {
  const named = items.slice(0, NAMED).join('; ');
  return items.length > NAMED ? `${named}; and ${items.length - NAMED} more` : named;
}

/** These end a drill as a whole; anything else that stands in its way is a verdict. */
const ENDING = new Set(['CANCELLED', 'TIMEOUT', 'LOCK_LOST', 'ARCHIVE_UNKNOWN']);

/** Whether an error is no verdict at all. */
export function endsDrill({ code }: BackupError): boolean {
  return ENDING.has(code);
}

/** The detail of an archive that failed before anything was restored. */
export function notAsRecorded(detail: string): string {
  return `the archive is not what was recorded of it: ${detail}`;
}
