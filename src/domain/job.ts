import type { AnomalyThresholds } from './anomaly.ts';
import type { CompressionType, VerifyLevel } from './manifest.ts';
import type { CodecOptions, Source } from './ports.ts';
import type { RetentionPolicy } from './retention.ts';

/** Programs around a run, each as an argv array; no shell is involved. */
export interface Hooks {
  before?: readonly string[];
  after?: readonly string[];
  failure?: readonly string[];
}

/** A named schedule with its sources and policy, as the engine runs it. */
export interface Job {
  readonly name: string;
  readonly enabled: boolean;
  readonly schedule: string;
  readonly timezone: string;
  readonly sources: readonly Source[];
  readonly compression: Omit<CodecOptions, 'content'> & { type: CompressionType };
  readonly timeout_ms: number;
  /** Further attempts after a connection fault. */
  readonly retries: number;
  readonly jitter_ms: number;
  readonly catchUp: boolean;
  readonly grace_ms: number;
  readonly verify: VerifyLevel;
  readonly hooks: Hooks;
  readonly retention: RetentionPolicy;
  /** Absent: new archives are not compared with their series. */
  readonly anomaly?: AnomalyThresholds;
  /** After each run, or on a schedule of its own; absent: only when someone asks. */
  readonly drill?: 'each' | { readonly schedule: string };
}
