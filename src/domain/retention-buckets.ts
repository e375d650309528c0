/** The calendar buckets of the retention rules. */
export type Period = 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly';

export const PERIODS = [
  'hourly',
  'daily',
  'weekly',
  'monthly',
  'yearly',
] as const satisfies readonly Period[];

/** Names the bucket an instant falls into, as people write it: `2026-11-23`, `2026-W48`, `2026-11`. */
export type BucketOf = (at: Date, period: Period) => string;

interface LocalTime {
  year: number;
  month: number;
  day: number;
  hour: string;
  /** `UTC`, `UTC+01:00`. */
  offset: string;
}

const DAY_MS = 86_400_000;

/**
 * Buckets by the wall clock of a time zone. An hour's name carries the offset, because the hour repeated
 * at the end of daylight saving time is two hours.
 *
 * @throws RangeError when the time zone is unknown.
 */
export function bucketsIn(timezone: string): BucketOf {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    hourCycle: 'h23',
    timeZoneName: 'longOffset',
  });
  // Formatting is the slow part, and every rule asks about every archive.
  const known = new Map<number, LocalTime>();
  const local = (at: Date): LocalTime => {
    const time = known.get(at.getTime()) ?? localTime(format, at);
    known.set(at.getTime(), time);
    return time;
  };
  return (at, period) => BUCKET_NAMES[period](local(at));
}

function localTime(format: Intl.DateTimeFormat, at: Date): LocalTime {
  const parts = new Map<string, string>(format.formatToParts(at).map(({ type, value }) => [type, value]));
  return {
    year: Number(parts.get('year')),
    month: Number(parts.get('month')),
    day: Number(parts.get('day')),
    hour: parts.get('hour') ?? '',
    // ICU writes zero as `GMT` or `GMT+00:00`, depending on its version.
    offset: (parts.get('timeZoneName') ?? '').replace('+00:00', '').replace('GMT', 'UTC'),
  };
}

const BUCKET_NAMES = {
  hourly: (time) => `${dayOf(time)} ${time.hour}:00 ${time.offset}`,
  daily: dayOf,
  weekly: isoWeek,
  monthly: monthOf,
  yearly: ({ year }) => fourDigits(year),
} as const satisfies Record<Period, (time: LocalTime) => string>;

function dayOf(time: LocalTime): string {
  return `${monthOf(time)}-${twoDigits(time.day)}`;
}

function monthOf({ year, month }: LocalTime): string {
  return `${fourDigits(year)}-${twoDigits(month)}`;
}

/** ISO 8601: a week begins on Monday and belongs to the year that holds its Thursday. */
function isoWeek({ year, month, day }: LocalTime): string {
  const date = new Date(Date.UTC(year, month - 1, day));
  const weekday = (date.getUTCDay() + 6) % 7;
  const thursday = new Date(date.getTime() + (3 - weekday) * DAY_MS);
  const weekYear = thursday.getUTCFullYear();
  const week = 1 + Math.floor((thursday.getTime() - Date.UTC(weekYear, 0, 1)) / (7 * DAY_MS));
  return `${fourDigits(weekYear)}-W${twoDigits(week)}`;
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

function fourDigits(value: number): string {
  return String(value).padStart(4, '0');
}
