import { BackupError } from '../domain/errors.ts';
import type { Job } from '../domain/job.ts';
import type { ScheduledJob } from './scheduled-job.ts';

/** The named jobs, or all enabled ones. Throws JOB_UNKNOWN, naming those there are, and USAGE when there is none. */
export function chooseJobs(jobs: readonly ScheduledJob[], names: readonly string[]): Job[] {
  const all = jobs.map(({ job }) => job);
  const unknown = names.find((name) => !all.some((job) => job.name === name));
  if (unknown !== undefined) {
    throw new BackupError('JOB_UNKNOWN', `there is no job named ${JSON.stringify(unknown)}`, {
      hint: `The configuration has: ${all.map(({ name }) => name).join(', ') || 'no job at all'}.`,
    });
  }
  const chosen =
    names.length === 0
      ? all.filter(({ enabled }) => enabled)
      : all.filter(({ name }) => names.includes(name));
  if (chosen.length === 0) {
    throw new BackupError('USAGE', 'there is no enabled job to run', {
      hint: 'Name a job to run it although it is disabled, or set `enabled` to true.',
    });
  }
  return chosen;
}
