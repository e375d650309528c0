import type { App } from './compose.ts';
import type { Config } from './config/config.ts';
import type { AskedWork } from './daemon/asked-work.ts';
import type { Scheduler } from './daemon/scheduler.ts';
import { BackupError } from './domain/errors.ts';
import type { RunBoard } from './engine/run-board.ts';
import type { ScheduledJob } from './engine/scheduled-job.ts';
import type { Logger } from './lib/log.ts';

/** What the API works with beside the app: the daemon around it, as it is now. */
export interface ApiParts {
  app: App;
  log: Logger;
  board: RunBoard;
  scheduler: Scheduler;
  asked: AskedWork;
  /** Of the configuration that is in use. */
  jobs: () => readonly ScheduledJob[];
  config: () => Config;
  /** Between start and stop; nothing is changed before and after. */
  isReady: () => boolean;
}

/** Throws CANCELLED while the daemon starts or stops: what it then began nobody would wait for. */
export function assertReady({ isReady }: ApiParts): void {
  if (isReady()) return;
  throw new BackupError('CANCELLED', 'cofre is starting or stopping', { hint: 'Try again in a moment.' });
}
