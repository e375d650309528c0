import { setTimeout as delay } from 'node:timers/promises';
import { BackupError } from '../domain/errors.ts';
import { formatDuration } from '../domain/duration.ts';

/** For what is to be done to its end, whatever else is stopped. */
export const NEVER = new AbortController().signal;

/** A signal that also aborts with TIMEOUT after `timeout_ms`. Dispose it to stop the timer. */
export interface Deadline extends Disposable {
  readonly signal: AbortSignal;
}

/** @param what names the work in the message: `run of job app`. */
export function withDeadline(signal: AbortSignal, timeout_ms: number, what: string): Deadline {
  const controller = new AbortController();
  const timer = setTimeout(() => {
    controller.abort(
      new BackupError('TIMEOUT', `${what} took longer than its timeout of ${formatDuration(timeout_ms)}`, {
        hint: 'Look for what it waits for (locks, a slow disk or network), or raise `timeout`.',
      }),
    );
  }, timeout_ms);
  return {
    signal: AbortSignal.any([signal, controller.signal]),
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

/** Sleeps; rejects with the signal's reason when it aborts. */
export async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  try {
    await delay(ms, undefined, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
