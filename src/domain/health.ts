import type { Outcome } from './manifest.ts';

/** What `GET /health` answers. Times are ISO 8601, UTC. */
export interface HealthReport {
  status: 'ok' | 'failing';
  version: string;
  /** Seconds since the start of the daemon. */
  uptime: number;
  /** Why the status is not `ok`, for people. */
  problems: string[];
  /** What needs a look without being a failure of backups: a retention that is held back. */
  warnings: string[];
  jobs: JobHealth[];
  series: SeriesHealth[];
}

export interface JobHealth {
  job: string;
  enabled: boolean;
  last_success: string | null;
  last_outcome: Outcome | null;
  last_run_at: string | null;
  next_run: string | null;
  overdue: boolean;
  /** The due time since which no run has succeeded, while overdue. */
  overdue_since: string | null;
  running: boolean;
}

export interface SeriesHealth {
  source: string;
  archives: number;
  newest: string;
  newest_at: string;
  /** False also when its file is gone. */
  verified: boolean;
  verified_at: string;
  /** The manifest is there, the archive file is not, or has another size. */
  missing: boolean;
}

/** The problems that make the answer 503: overdue jobs, failed last runs, newest archives that do not verify. */
export function problemsOf(jobs: readonly JobHealth[], series: readonly SeriesHealth[]): string[] {
  const problems: string[] = [];
  for (const { job, enabled, overdue, overdue_since, last_outcome } of jobs) {
    if (!enabled) continue;
    if (overdue) problems.push(`job ${job} is overdue: no success since it was due at ${overdue_since}`);
    if (last_outcome === 'failed') problems.push(`the last run of job ${job} failed`);
  }
  for (const { newest, verified, missing } of series) {
    if (missing) problems.push(`the file of the newest archive ${newest} is gone or was changed`);
    else if (!verified) problems.push(`the newest archive ${newest} does not verify`);
  }
  return problems;
}
