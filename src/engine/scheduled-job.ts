import type { CronSchedule } from '../domain/cron.ts';
import type { Job } from '../domain/job.ts';

/** A job with its parsed schedule. */
export interface ScheduledJob {
  job: Job;
  cron: CronSchedule;
}
