/** How far ahead of the clock a recorded time may lie before it is taken for a wrong clock's. */
const CLOCK_STEP_LIMIT_MS = 3_600_000;

/** Whether a recorded time cannot be the clock's present or past, however little the clock was corrected. */
export function isFarAhead(recorded: Date, now: Date): boolean {
  return recorded.getTime() - now.getTime() > CLOCK_STEP_LIMIT_MS;
}
