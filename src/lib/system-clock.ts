import type { Clock } from '../domain/ports.ts';
import { sleep } from './abort.ts';

/** Timers stand still during suspend and follow no clock step, so no single sleep is longer than this. */
const LONGEST_NAP_MS = 30_000;

/** The machine's clock. */
export class SystemClock implements Clock {
  now(): Date {
    return new Date();
  }

  async sleepUntil(at: Date, signal: AbortSignal): Promise<void> {
    const left_ms = at.getTime() - Date.now();
    if (left_ms <= 0 || signal.aborted) return;
    try {
      await sleep(Math.min(left_ms, LONGEST_NAP_MS), signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }
}
