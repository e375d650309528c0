/**
 * What to keep of one series of archives, decided purely, with the reasons.
 *
 * Nothing good is lost to housekeeping:
 * - Only verified archives count for the rules and are kept by them.
 * - `now` is the time of the newest verified archive and never later than the clock, so that a series that
 *   stopped does not age away, and a clock that jumped does not empty it.
 * - The newest verified archive, the newest complete one, the pinned ones and those from before an
 *   anomaly that nobody has acknowledged are kept whatever the policy.
 * - An archive dated later than the clock was written under a wrong one: it is kept, and neither counts nor
 *   fills the place of one whose time is right.
 * - A plan that would remove more than half of the series removes nothing unless it is forced.
 */
import { isFarAhead } from './far-ahead.ts';
import { bucketsIn } from './retention-buckets.ts';
import {
  formatAge,
  isWithinDays,
  type RetentionPolicy,
  type RetentionRule,
  rulesOf,
} from './retention-rules.ts';

export type { RetentionPolicy } from './retention-rules.ts';

/** An archive as retention sees it. Filenames are unique within a series. */
export interface RetainableArchive {
  filename: string;
  /** The start of the run that wrote it. */
  at: Date;
  pinned: boolean;
  /** The latest verification's `ok`. */
  verified: boolean;
  /** Whether something that belongs to it could not be read. */
  incomplete: boolean;
  /** The newest archive with less in it than this one, unless someone has acknowledged that. */
  beforeAnomalyOf?: string | undefined;
}

export interface RetentionDecision {
  filename: string;
  action: 'keep' | 'remove';
  /** At least one, for people. */
  reasons: string[];
}

export interface RetentionPlan {
  /** One for each archive, oldest first. */
  decisions: RetentionDecision[];
  /** Present when the plan would have removed more than half of the series and was not forced. */
  heldBack?: HeldBack;
}

export interface HeldBack {
  removing: number;
  of: number;
  message: string;
}

export interface RetentionOptions {
  /** Removes more than half of a series in one go. */
  force?: boolean;
}

/** How long an archive that does not verify is kept for inspection at least. */
const INSPECTION_DAYS = 30;

/**
 * Decides about every archive of one series; the order of the input does not matter.
 *
 * @param timezone IANA name: the wall clock that buckets go by.
 * @param clockNow The clock; it bounds the plan's `now` from above.
 * @throws RangeError when the time zone is unknown.
 */
export function planRetention(
  series: readonly RetainableArchive[],
  policy: RetentionPolicy,
  timezone: string,
  clockNow: Date,
  options: RetentionOptions = {},
): RetentionPlan {
  const bucketOf = bucketsIn(timezone);
  const archives = series.toSorted(oldestFirst);
  const judged = archives.filter(({ at }) => !isFarAhead(at, clockNow));
  const verified = judged.filter((archive) => archive.verified);
  const newest = verified.at(-1);
  const now = newest !== undefined && newest.at < clockNow ? newest.at : clockNow;
  const context: Context = {
    rules: rulesOf(policy, verified, bucketOf, now),
    newest,
    newestComplete: verified.findLast(({ incomplete }) => !incomplete),
    inspection_days: Math.max(policy.days, INSPECTION_DAYS),
    now,
  };
  const decisions = archives.map((archive) =>
    isFarAhead(archive.at, clockNow) ? keepFuture(archive) : decide(archive, context),
  );
  const removing = decisions.filter(({ action }) => action === 'remove').length;
  if (options.force === true || removing <= judged.length / 2) return { decisions };
  return holdBack(decisions, removing, judged.length);
}

interface Context {
  rules: RetentionRule[];
  newest: RetainableArchive | undefined;
  newestComplete: RetainableArchive | undefined;
  inspection_days: number;
  now: Date;
}

function decide(archive: RetainableArchive, context: Context): RetentionDecision {
  const { keep, remove } = archive.verified
    ? judgeVerified(archive, context)
    : judgeUnverified(archive, context);
  if (archive.pinned) keep.push('pinned');
  if (archive.beforeAnomalyOf !== undefined) {
    const { beforeAnomalyOf: anomalous } = archive;
    keep.push(`last archive from before the anomaly of ${anomalous}, which nobody has acknowledged`);
  }
  return keep.length > 0
    ? { filename: archive.filename, action: 'keep', reasons: keep }
    : { filename: archive.filename, action: 'remove', reasons: [remove] };
}

/** Reasons to keep; when there are none, the one to remove. */
interface Judgement {
  keep: string[];
  remove: string;
}

function judgeVerified(archive: RetainableArchive, { rules, newest, newestComplete }: Context): Judgement {
  const verdicts = rules.map((rule) => rule(archive));
  const keep = verdicts.filter((verdict) => verdict.keep).map(({ reason }) => reason);
  if (archive === newest) keep.push('newest verified archive');
  if (archive === newestComplete) keep.push('newest complete archive');
  const outside = rules.length === 0 ? 'no rule is set' : verdicts.map(({ reason }) => reason).join(', ');
  return { keep, remove: `outside every rule: ${outside}` };
}

/** A broken archive is evidence, and perhaps all there is: it goes only when it is old and surpassed. */
function judgeUnverified(archive: RetainableArchive, { newest, inspection_days, now }: Context): Judgement {
  const keep: string[] = [];
  if (isWithinDays(archive.at, inspection_days, now)) {
    keep.push(`not verified: kept for inspection for ${inspection_days} days`);
  } else if (newest === undefined || oldestFirst(newest, archive) < 0) {
    keep.push('not verified: kept until there is a newer verified archive');
  }
  return {
    keep,
    remove: `not verified: ${formatAge(archive.at, now)}, kept for inspection for ${inspection_days} days only`,
  };
}

function keepFuture({ filename, pinned }: RetainableArchive): RetentionDecision {
  const reasons = ['dated later than the clock: written while it was wrong', ...(pinned ? ['pinned'] : [])];
  return { filename, action: 'keep', reasons };
}

/** @param of How many archives were judged. */
function holdBack(decisions: readonly RetentionDecision[], removing: number, of: number): RetentionPlan {
  const figures = `${removing} of ${of} archives in one go`;
  return {
    decisions: decisions.map((decision) =>
      decision.action === 'keep'
        ? decision
        : {
            filename: decision.filename,
            action: 'keep',
            reasons: decision.reasons.map(
              (reason) => `held back: removing ${figures} needs --force (${reason})`,
            ),
          },
    ),
    heldBack: {
      removing,
      of,
      message: `retention would remove ${figures}, more than half of the series`,
    },
  };
}

function oldestFirst(a: RetainableArchive, b: RetainableArchive): number {
  const difference_ms = a.at.getTime() - b.at.getTime();
  if (difference_ms !== 0) return difference_ms;
  if (a.filename === b.filename) return 0;
  return a.filename < b.filename ? -1 : 1;
}
