import type { Clock } from '../domain/ports.ts';

/** Milliseconds since then; 0 when the clock was set back meanwhile. */
export function elapsedSince(clock: Clock, then: Date): number {
  return Math.max(0, clock.now().getTime() - then.getTime());
}
