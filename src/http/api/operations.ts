import type { ByteRange, ByteStream } from '../../domain/ports.ts';
import type { Manifest, ManifestSummary, VerifyLevel } from '../../domain/manifest.ts';
import type { RunView } from '../../domain/run-view.ts';
import type { DrillResult } from '../../engine/drill.ts';
import type { PruneResult } from '../../engine/prune.ts';
import type { RestoreReport, RestoreRequest } from '../../engine/restore-request.ts';
import type { RunBoard } from '../../engine/run-board.ts';
import type { RunFilter, RunPage } from '../../engine/run-history.ts';
import type { RunResult } from '../../engine/run-request.ts';

/** Work that goes on after its answer. */
export interface Begun<T> {
  run: RunView;
  /** Rejects with what kept it from a result; whoever does not wait for it need not catch that. */
  done: Promise<T>;
}

/** A job with its coming runs. */
export interface JobView {
  job: string;
  enabled: boolean;
  schedule: string;
  timezone: string;
  sources: { name: string; type: ManifestSummary['type'] }[];
  /** ISO 8601, UTC. */
  next: string[];
  last_success: string | null;
  last_outcome: string | null;
  last_run_at: string | null;
  overdue: boolean;
  running: boolean;
}

/** What of a restore is asked for; the target is the name of a configured one. */
export type RestoreWish = Pick<RestoreRequest, 'dryRun' | 'database' | 'files'> & {
  target: string;
  /** What the database, or the directory inside the target's, is called. */
  as?: string | undefined;
};

/** What the API can do. Everything that changes something is told who asks: the name of a token. */
export interface Operations {
  readonly board: RunBoard;
  /** Every backup, oldest first. */
  backups(): readonly ManifestSummary[];
  /** Throws ARCHIVE_UNKNOWN or MANIFEST_CORRUPT. */
  backup(filename: string): Promise<Manifest>;
  /** The stored bytes. Throws ARCHIVE_MISSING or ARCHIVE_CORRUPT when they are not what was stored. */
  open(manifest: ManifestSummary, range: ByteRange | undefined): Promise<ByteStream>;
  /** One for each job: the named one, or every enabled one. Throws JOB_UNKNOWN or JOB_BUSY, with none begun. */
  startBackups(job: string | undefined, actor: string): Promise<Begun<RunResult>[]>;
  verify(filename: string, level: VerifyLevel, actor: string): Promise<{ valid: boolean; detail: string }>;
  setPinned(filename: string, pinned: boolean, actor: string): Promise<void>;
  delete(filename: string, actor: string): Promise<void>;
  prune(wish: { dryRun: boolean; force: boolean }, actor: string): Promise<PruneResult>;
  startDrill(filename: string, actor: string): Promise<Begun<DrillResult>>;
  startRestore(filename: string, wish: RestoreWish, actor: string): Promise<Begun<RestoreReport>>;
  jobs(): Promise<JobView[]>;
  runs(filter: RunFilter, limit: number, before: number | undefined): Promise<RunPage>;
  run(run: string): Promise<RunView>;
}
