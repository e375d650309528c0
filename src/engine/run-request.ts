import type { RunError } from '../domain/journal-entry.ts';
import type { Manifest, Outcome, Trigger } from '../domain/manifest.ts';

export interface Progress {
  source: string;
  step: 'capture';
  /** Bytes before compression. */
  bytes: number;
}

/** Why and for whom a run is made. */
export interface RunRequest {
  run: string;
  startedAt: Date;
  trigger: Trigger;
  actor: string;
  due?: Date;
  missed?: number;
  onProgress?: (progress: Progress) => void;
}

export interface RunResult {
  job: string;
  run: string;
  outcome: Outcome;
  archives: Manifest[];
  errors: RunError[];
}
