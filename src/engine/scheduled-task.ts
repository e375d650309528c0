import type { CronSchedule } from '../domain/cron.ts';
import type { DuePolicy } from '../domain/due.ts';
import type { Outcome, Trigger } from '../domain/manifest.ts';

/** Something that runs on a schedule: a job, or the maintenance tasks `@prune` and `@scrub`. */
export interface ScheduledTask {
  /** As in the journal. */
  readonly name: string;
  /** A disabled task keeps its place in the journal and never runs. */
  readonly enabled: boolean;
  readonly cron: CronSchedule;
  readonly policy: DuePolicy;
  run(occasion: Occasion, signal: AbortSignal): Promise<Outcome>;
}

export interface Occasion {
  due: Date;
  trigger: Extract<Trigger, 'schedule' | 'catch-up'>;
  missed: number;
}
