import { nextDue } from '../domain/cron.ts';
import { fireTime } from '../domain/due.ts';
import type { ScheduledJob } from './scheduled-job.ts';

/** The coming runs of a job, none where it is disabled. */
export function nextRuns({ job, cron }: ScheduledJob, after: Date, count: number): Date[] {
  const runs: Date[] = [];
  let due = after;
  while (job.enabled && runs.length < count) {
    due = nextDue(cron, due);
    runs.push(fireTime(cron, job.name, due, job.jitter_ms));
  }
  return runs;
}
