import { composeJobs } from '../../compose-jobs.ts';
import { nextRuns } from '../../engine/next-runs.ts';
import type { Answer } from '../answer.ts';
import type { Session } from '../session.ts';

/** How many coming runs are shown. */
const SHOWN = 5;

/** `cofre schedule`: when each job runs next. */
export async function schedule(session: Session): Promise<Answer> {
  const { config } = await session.load();
  const now = new Date();
  const jobs = composeJobs(config).map((scheduled) => ({
    job: scheduled.job.name,
    timezone: scheduled.job.timezone,
    next: nextRuns(scheduled, now, SHOWN).map((at) => at.toISOString()),
  }));
  const text = jobs.map(({ job, timezone, next }) => {
    if (next.length === 0) return `${job}: disabled`;
    return [`${job} (${timezone}):`, ...next.map((at) => `  ${inZone(at, timezone)}  (${at})`)].join('\n');
  });
  return { status: 0, json: { jobs }, text: text.join('\n') };
}

function inZone(at: string, timezone: string): string {
  const options = { dateStyle: 'full', timeStyle: 'long', timeZone: timezone } as const;
  return new Intl.DateTimeFormat('en-GB', options).format(new Date(at));
}
