import { BackupError } from '../domain/errors.ts';
import type { Service } from '../domain/ports.ts';
import { aborted } from '../lib/abort.ts';
import { RunQueue } from './run-queue.ts';
import { Workload } from './workload.ts';

/** Verifications, drills and restores at once: more would only share the disk. */
const AT_ONCE = 2;
const WAITING_MOST = 50;

/**
 * What somebody asks the daemon for beside the scheduled runs: it waits for no backup, as a command would not,
 * and is drained at a shutdown like the scheduled runs.
 */
export class AskedWork implements Service {
  readonly id = 'asked-work';
  readonly #workload = new Workload(new RunQueue(AT_ONCE));
  #pending = 0;

  /** Throws JOB_BUSY when too much waits already, CANCELLED when a shutdown comes first. */
  async perform<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.assertRoom();
    this.#pending += 1;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    promise.catch(() => undefined);
    try {
      const isBegun = await this.#workload.add(async (signal) => {
        await work(signal).then(resolve, reject);
      });
      if (!isBegun) throw new BackupError('CANCELLED', 'cofre is stopping: the work was not begun');
      return await promise;
    } finally {
      this.#pending -= 1;
    }
  }

  /** Throws JOB_BUSY when no more may wait. */
  assertRoom(): void {
    if (this.#pending < AT_ONCE + WAITING_MOST) return;
    throw new BackupError('JOB_BUSY', `${this.#pending} verifications, drills and restores are under way`, {
      hint: 'Wait for them to end.',
    });
  }

  async run(signal: AbortSignal): Promise<void> {
    await aborted(signal);
    await this.#workload.drain();
  }
}
