import { type BucketOf, PERIODS, type Period } from './retention-buckets.ts';

/** How many archives each rule keeps; 0 turns a rule off. Counts are whole and not negative. */
export interface RetentionPolicy {
  /** Days of 24 hours, not calendar days. */
  days: number;
  keepLast: number;
  hourly: number;
  daily: number;
  weekly: number;
  monthly: number;
  yearly: number;
}

/** What a rule needs to know of an archive. */
export interface DatedArchive {
  filename: string;
  /** The start of the run that wrote it. */
  at: Date;
}

/** One rule's view of an archive: kept or not, and why, in words for people. */
export interface RuleVerdict {
  keep: boolean;
  reason: string;
}

export type RetentionRule = (archive: DatedArchive) => RuleVerdict;

const DAY_MS = 86_400_000;
const UNITS = {
  hourly: 'hours',
  daily: 'days',
  weekly: 'weeks',
  monthly: 'months',
  yearly: 'years',
} as const satisfies Record<Period, string>;

/** The rules a policy turns on, over the verified archives of one series, oldest first. */
export function rulesOf(
  policy: RetentionPolicy,
  verified: readonly DatedArchive[],
  bucketOf: BucketOf,
  now: Date,
): RetentionRule[] {
  const rules: RetentionRule[] = [];
  if (policy.days > 0) rules.push(ageRule(policy.days, now));
  if (policy.keepLast > 0) rules.push(lastRule(policy.keepLast, verified));
  for (const period of PERIODS) {
    if (policy[period] > 0) rules.push(bucketRule(period, policy[period], verified, bucketOf));
  }
  return rules;
}

/** `31 days old`, in whole days. */
export function formatAge(at: Date, now: Date): string {
  const days = Math.max(0, Math.floor((now.getTime() - at.getTime()) / DAY_MS));
  return days === 1 ? '1 day old' : `${days} days old`;
}

/** Whether `at` lies less than `days` times 24 hours before `now`. */
export function isWithinDays(at: Date, days: number, now: Date): boolean {
  return at.getTime() > now.getTime() - days * DAY_MS;
}

function ageRule(days: number, now: Date): RetentionRule {
  return ({ at }) =>
    isWithinDays(at, days, now)
      ? { keep: true, reason: days === 1 ? 'within 1 day' : `within ${days} days` }
      : { keep: false, reason: formatAge(at, now) };
}

function lastRule(count: number, verified: readonly DatedArchive[]): RetentionRule {
  const kept = new Set(verified.slice(-count).map(({ filename }) => filename));
  return ({ filename }) =>
    kept.has(filename)
      ? { keep: true, reason: `last ${count}` }
      : { keep: false, reason: `not among the last ${count}` };
}

function bucketRule(
  period: Period,
  count: number,
  verified: readonly DatedArchive[],
  bucketOf: BucketOf,
): RetentionRule {
  const newestOf = new Map<string, string>();
  for (const { at, filename } of verified.toReversed()) {
    const bucket = bucketOf(at, period);
    if (newestOf.size < count && !newestOf.has(bucket)) newestOf.set(bucket, filename);
  }
  return ({ at, filename }) => {
    const bucket = bucketOf(at, period);
    const newest = newestOf.get(bucket);
    if (newest === filename) return { keep: true, reason: `${period}: newest of ${bucket}` };
    return {
      keep: false,
      reason:
        newest === undefined
          ? `${period}: ${bucket} is not among the last ${count} ${UNITS[period]}`
          : `${period}: not the newest of ${bucket}`,
    };
  };
}
