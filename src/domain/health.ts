import { describeAnomaly } from './anomaly.ts';
import type { Anomaly, AnomalyKind, Outcome, Verdict } from './manifest.ts';

/** What `GET /health` answers. Times are ISO 8601, UTC. */
export interface HealthReport {
  status: 'ok' | 'failing';
  version: string;
  /** Seconds since the start of the daemon. */
  uptime: number;
  /** Why the status is not `ok`, for people. */
  problems: string[];
  /**
   * What needs a look without being a failure of backups: anomalies, archives that do not verify, that failed their
   * drill or could not be drilled here, a retention held back.
   */
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
  /** What the newest archive lacks, unless someone has acknowledged it. */
  anomaly: Pick<Anomaly, 'baseline' | 'findings'> | null;
  /** Filenames of all archives whose latest verification failed, oldest first. */
  faulty: string[];
  /** Null before the first drill. */
  proof: ProofHealth | null;
}

/** What drills say of a series. */
export interface ProofHealth {
  /** The archive that was drilled last. */
  filename: string;
  verdict: Verdict;
  at: string;
  /** The last time that an archive was proven to restore, and how long ago, in seconds. */
  proven_at: string | null;
  proven_age: number | null;
  /** The recovery time that was measured then. */
  recovery_ms: number | null;
  /** Whether the newest archive that was proven or refuted was refuted. */
  failing: boolean;
  /** Filenames of all archives whose latest drill failed, oldest first. */
  failed: string[];
}

/**
 * The problems that make the answer 503: overdue jobs, failed last runs, newest archives that do not verify, or that
 * a drill could not restore.
 */
export function problemsOf(jobs: readonly JobHealth[], series: readonly SeriesHealth[]): string[] {
  const problems: string[] = [];
  for (const { job, enabled, overdue, overdue_since, last_outcome } of jobs) {
    if (!enabled) continue;
    if (overdue) problems.push(`job ${job} is overdue: no success since it was due at ${overdue_since}`);
    if (last_outcome === 'failed') problems.push(`the last run of job ${job} failed`);
  }
  for (const { newest, verified, missing, proof } of series) {
    if (proof?.failing === true)
      problems.push(`${proof.failed.at(-1)} failed its drill: it does not restore as recorded`);
    if (missing) problems.push(`the file of the newest archive ${newest} is gone or was changed`);
    else if (!verified) problems.push(`the newest archive ${newest} does not verify`);
  }
  return problems;
}

/**
 * What the archives warn of: each that failed its drill or does not verify, newest ones that hold less than those
 * before, and a latest drill that this machine could not do.
 */
export function warningsOf(series: readonly SeriesHealth[]): string[] {
  return series.flatMap(({ newest, anomaly, faulty, proof }) => [
    ...(proof?.failed ?? []).map((filename) => `${filename} failed its drill`),
    // A proof that someone counts on and that this machine never gives.
    ...(proof?.verdict === 'not provable here'
      ? [
          `${proof.filename} was not provable here; \`cofre show ${proof.filename}\` says what this machine lacks`,
        ]
      : []),
    ...faulty.map((filename) => `${filename} does not verify`),
    ...(anomaly === null
      ? []
      : [
          `${newest} holds less than ${anomaly.baseline}: ${describeAnomaly(anomaly)}; \`cofre acknowledge ${newest}\` if this is meant`,
        ]),
  ]);
}

const KIND_TEXT = {
  table_gone: 'a table is gone',
  rows_down: 'fewer rows or entries',
  size_down: 'smaller',
  empty: 'nothing',
} as const satisfies Record<AnomalyKind, string>;

/**
 * The report for whoever has no token: the same states and times, and of what went wrong only that it did. Paths,
 * names of tables and messages of errors are left out.
 */
export function withoutDetails(report: HealthReport): HealthReport {
  const series = report.series.map(({ anomaly, ...rest }) => ({
    ...rest,
    anomaly: anomaly && {
      ...anomaly,
      findings: anomaly.findings.map(({ kind }) => ({ kind, detail: KIND_TEXT[kind] })),
    },
  }));
  const problems = problemsOf(report.jobs, series);
  const warnings = warningsOf(series);
  const more = (of: readonly string[], known: readonly string[], text: string) =>
    of.length > known.length ? [text] : [];
  return {
    ...report,
    problems: [...more(report.problems, problems, 'the location cannot be used'), ...problems],
    warnings: [...more(report.warnings, warnings, 'the last prune could not do all of it'), ...warnings],
    series,
  };
}
