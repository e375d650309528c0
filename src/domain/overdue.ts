import { type CronSchedule, newestDue, nextDue } from './cron.ts';
import { isFarAhead } from './far-ahead.ts';

/** How many of the latest runs tell the usual duration. */
export const USUAL_DURATION_RUNS = 20;

/** The median of the last 20 durations, given oldest first; 0 when there are none. */
export function usualDuration(durations_ms: readonly number[]): number {
  const sorted = durations_ms.slice(-USUAL_DURATION_RUNS).toSorted((a, b) => a - b);
  const upper = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const lower = sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
  return (lower + upper) / 2;
}

/**
 * Since when a job is overdue: the oldest due time that no success has followed. Undefined when it is not:
 * every due time that is older than jitter, grace and the usual duration together has a success that ended
 * at or after it. Due times up to the baseline are not the job's.
 *
 * A success that a wrong clock dated more than an hour ahead does not count: it would keep a job that
 * no longer runs from ever being overdue.
 *
 * @param baseline When this job with this schedule was first seen.
 * @param lastSuccess The end of the last successful run.
 */
export function overdueSince(
  cron: CronSchedule,
  baseline: Date,
  lastSuccess: Date | undefined,
  now: Date,
  graceAndUsual_ms: number,
  jitter_ms: number,
): Date | undefined {
  // One millisecond more: exactly as old as allowed is not overdue yet.
  const due = newestDue(cron, new Date(now.getTime() - jitter_ms - graceAndUsual_ms - 1));
  if (due === undefined || due <= baseline) return undefined;
  if (lastSuccess === undefined || isFarAhead(lastSuccess, now)) return nextDue(cron, baseline);
  if (lastSuccess >= due) return undefined;
  // A due time is served by a success at the same instant, and nextDue looks strictly after.
  return nextDue(cron, lastSuccess > baseline ? lastSuccess : baseline);
}
