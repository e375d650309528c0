import { Cron } from 'croner';

/** A cron expression in a time zone: a calendar of due times, all at whole seconds. */
export interface CronSchedule {
  readonly expression: string;
  /** IANA name. */
  readonly timezone: string;
  /** Only computes: without a function it starts no timer. */
  readonly times: Cron;
}

export type ParsedCron = { ok: true; cron: CronSchedule } | { ok: false; reason: string };

/** Due times of an interval. */
export interface Dues {
  /** Oldest first; only the newest `limit` ones when `capped`. */
  dues: Date[];
  newest: Date | undefined;
  /** How many there are, or the limit when `capped`. */
  count: number;
  /** There are more than the limit. */
  capped: boolean;
}

const NICKNAMES = ['@hourly', '@daily', '@weekly', '@monthly', '@yearly'];

// The Gregorian calendar repeats every 400 years and croner looks ahead to the year 3000: an expression
// without a run after this instant has none at all.
const CALENDAR_START = new Date('2000-01-01T00:00:00Z');

/**
 * Reads `minute hour day month weekday`, the same with seconds in front, or a nickname (`@daily` …).
 * The day of the month and the weekday are OR-ed when both are given, as in cron.
 *
 * Daylight saving time, by croner's rule `no-wildcard`, which is close to Vixie cron's: a fixed time
 * (seconds, minutes and hours without `*` and `/`; lists and ranges are fixed) that the clock skips is due
 * when the clock has jumped, one that occurs twice is due the first time only; an interval such as
 * `*\/15 * * * *` follows the time that really passes.
 */
export function parseCron(expr: string, timezone: string): ParsedCron {
  const expression = expr.trim();
  const shape = checkShape(expression);
  if (shape !== undefined) return { ok: false, reason: shape };
  if (!isTimezone(timezone)) {
    return { ok: false, reason: `unknown time zone '${timezone}'; use an IANA name such as Europe/Lisbon` };
  }
  try {
    const rules = { mode: '5-or-6-parts', fixedTimeRule: 'no-wildcard' } as const;
    // Whether it runs at all is the same everywhere; an offset spares the calendar of a zone, which is slow to load.
    const byOffset = new Cron(expression, { ...rules, utcOffset: 0 });
    if (byOffset.nextRun(CALENDAR_START) === null) {
      return { ok: false, reason: 'it never runs: no date matches its day and month' };
    }
    const times = timezone === 'UTC' ? byOffset : new Cron(expression, { ...rules, timezone });
    return { ok: true, cron: { expression, timezone, times } };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, reason: message.replace(/^Cron\w+: /, '') };
  }
}

/** Whether Intl knows the time zone. */
export function isTimezone(timezone: string): boolean {
  // Names are found faster in the list than by making a format, but aliases such as US/Eastern are not in it.
  if (timezone === 'UTC' || Intl.supportedValuesOf('timeZone').includes(timezone)) return true;
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: timezone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/**
 * The first due time strictly after an instant.
 *
 * @throws RangeError past the end of croner's calendar, the year 3000.
 */
export function nextDue(cron: CronSchedule, after: Date): Date {
  const due = cron.times.nextRun(after);
  if (due === null) throw new RangeError(`'${cron.expression}' is not due again before the year 3000`);
  return due;
}

/** The last due time at or before an instant; undefined before the beginning of the calendar. */
export function newestDue(cron: CronSchedule, upTo: Date): Date | undefined {
  // previousRuns looks strictly before its reference.
  return cron.times.previousRuns(1, new Date(upTo.getTime() + 1))[0];
}

/**
 * The due times in (after, upTo]. Goes back from the newest and stops at the limit: a job of every second
 * has 31 million of them in a year of downtime.
 */
export function duesBetween(cron: CronSchedule, after: Date, upTo: Date, limit: number): Dues {
  const newest = newestWithin(cron, after, upTo);
  const dues: Date[] = [];
  let due = newest;
  while (due !== undefined && dues.length < limit) {
    dues.push(due);
    due = newestWithin(cron, after, new Date(due.getTime() - 1));
  }
  return { dues: dues.toReversed(), newest, count: dues.length, capped: due !== undefined };
}

function newestWithin(cron: CronSchedule, after: Date, upTo: Date): Date | undefined {
  const due = newestDue(cron, upTo);
  return due !== undefined && due > after ? due : undefined;
}

/** croner also takes dates, which run once, and a year field, which runs out: neither is a schedule. */
function checkShape(expression: string): string | undefined {
  if (expression.startsWith('@')) {
    if (NICKNAMES.includes(expression)) return undefined;
    return `'${expression}' is not supported; allowed are ${NICKNAMES.join(', ')}, or 5 or 6 fields`;
  }
  const fields = expression === '' ? 0 : expression.split(/\s+/).length;
  if (fields === 5 || fields === 6) return undefined;
  return `it has ${fields} fields; allowed are 5 (minute hour day month weekday), or 6 with seconds in front`;
}
