import type { RunError } from '../domain/journal-entry.ts';
import type { Manifest, Outcome, Trigger } from '../domain/manifest.ts';

/** How far a run is with one source. */
export interface RunProgress {
  source: string;
  step: 'capture' | 'verify' | 'drill';
  /** So far: before compression while capturing, of the stored file while verifying, of a step of the drill. */
  bytes: number;
  /** Of the whole step, where it is known. */
  total_bytes?: number;
}

/** Why and for whom a run is made. */
export interface RunRequest {
  run: string;
  startedAt: Date;
  trigger: Trigger;
  actor: string;
  due?: Date;
  missed?: number;
  onProgress?: (progress: RunProgress) => void;
}

export interface RunResult {
  job: string;
  run: string;
  outcome: Outcome;
  archives: Manifest[];
  errors: RunError[];
}
