import type { HealthReport } from '../src/domain/health.ts';

/** Metrics people alert on, or look at first. */
const INTERESTING = [
  /^cofre_runs_total\{.*outcome="(?:succeeded|failed)"/,
  /^cofre_job_last_success_timestamp_seconds/,
  /^cofre_job_overdue/,
  /^cofre_archives\{/,
  /^cofre_archive_last_size_bytes/,
  /^cofre_verify_total/,
  /^cofre_location_bytes/,
];

/** `GET /health` without what a first look does not need. Throws unless it says that all is well. */
export async function abridgedHealth(url: string, signal: AbortSignal): Promise<string> {
  const report = JSON.parse(await get(url, signal)) as HealthReport;
  const jobs = report.jobs.map(({ job, last_success, next_run, overdue }) => ({
    job,
    last_success,
    next_run,
    overdue,
  }));
  const series = report.series.map(({ source, archives, verified }) => ({ source, archives, verified }));
  return [
    `{ "status": ${JSON.stringify(report.status)}, "version": ${JSON.stringify(report.version)}, "problems": ${JSON.stringify(report.problems)},`,
    `  "jobs": ${JSON.stringify(jobs)},`,
    `  "series": ${JSON.stringify(series)} }`,
  ].join('\n');
}

/** The lines of `GET /metrics` that tell how the backups are doing. */
export async function interestingMetrics(url: string, signal: AbortSignal): Promise<string> {
  const lines = (await get(url, signal)).split('\n');
  return lines.filter((line) => INTERESTING.some((pattern) => pattern.test(line))).join('\n');
}

async function get(url: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) });
  const text = await response.text();
  if (!response.ok) throw new Error(`GET ${url} answered ${response.status}: ${text}`);
  return text;
}
