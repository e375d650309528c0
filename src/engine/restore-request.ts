import type { Manifest, Trigger } from '../domain/manifest.ts';
import type { ExtractOptions } from '../domain/restore-ports.ts';

/** How far a restore is. */
export interface RestoreProgress {
  step: 'verify' | 'globals' | 'restore' | 'compare';
  /** Of the step, so far. */
  bytes: number;
  total_bytes?: number;
}

/** The database that a source backs up, as an archive of it knows it. */
export type DatabaseOrigin = Pick<Manifest, 'source' | 'database' | 'system_identifier'>;

export interface DatabaseRestoreFlags {
  create: boolean;
  clean: boolean;
  /** Custom and directory format. */
  jobs: number;
  singleTransaction: boolean;
  owners: boolean;
  /** Also into the database that the archive was taken from. */
  forceSource: boolean;
  /** Databases that, but for `forceSource`, nothing is restored into, whatever archive it is. */
  spared?: readonly DatabaseOrigin[];
  schemas: readonly string[];
  tables: readonly string[];
  /** Roles and tablespaces first: of the archive of that name, or of the one that belongs to this archive. */
  globals?: string | true;
}

export interface RestoreRequest {
  filename: string;
  /** A connection URI, or a directory, as suits the archive. */
  to: string;
  /** Says what would be done, and does nothing. */
  dryRun: boolean;
  /** The id of the run, where it was told to someone already. */
  run?: string;
  /** Default: `cli`. */
  trigger?: Trigger;
  actor: string;
  database: DatabaseRestoreFlags;
  files: ExtractOptions;
  onProgress?: (progress: RestoreProgress) => void;
}

export interface RestoreReport {
  filename: string;
  /** For people, without a password. */
  target: string;
  dry_run: boolean;
  /** What was done, in order, then in a dry run what `would` be: sentences for people. */
  steps: string[];
  /** What stands there now; absent after a dry run. */
  restored?: { tables: number; rows: number } | { entries: number; bytes: number };
  /** Whether it was held against what the manifest records: of files that were chosen only the count is. */
  compared: boolean;
  /** How that differs from what the manifest records, in words; empty: not at all. */
  differences: string[];
  duration_ms: number;
}
