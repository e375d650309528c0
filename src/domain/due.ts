/**
 * When a job runs. The daemon asks at every wake-up, applies the answer and asks again until it is `wait`.
 *
 *   dues in (max(baseline, lastDue), now]
 *     none, last run ended (or under way) ── wait for the next due
 *     none, last run died ────────────────── run again, or skip: attempts
 *     some: the newest decides
 *       its jitter not over ──────────────── wait
 *       a run of the job under way ───────── skip: overlap
 *       within the tolerance ─────────────── run: schedule
 *       later ────────────────────────────── run: catch-up (once for all), or skip: catch-up-off
 *
 * A clock set back never makes a due time run twice while the anchor, max(baseline, lastDue), is at most an
 * hour ahead. An anchor further ahead was written under a clock that was wrong: waiting for it could mean
 * silence for years, so the answer carries `rebase`, and the job starts anew from there. A due time may then
 * run a second time; one backup too many is the lesser evil.
 */
import { createHash } from 'node:crypto';
import { type CronSchedule, duesBetween, newestDue, nextDue } from './cron.ts';
import { isFarAhead } from './far-ahead.ts';

/** What is known of one job; the journal outlives the daemon, so this does too. */
export interface JobScheduleState {
  job: string;
  /** When this job with this schedule was first seen. Must survive a restart, or nothing is ever made up. */
  baseline: Date;
  /** The due time handled last, run or skipped: the one written last, not the largest. */
  lastDue?: Date | undefined;
  /** Runs started for `lastDue` that did not end. */
  attempts: number;
  lastDueEnded: boolean;
  /** A run of this job, from whatever trigger, is queued or under way. */
  busy: boolean;
}

export interface DuePolicy {
  /** Whether runs missed while down or asleep are made up, once. */
  catchUp: boolean;
  jitter_ms: number;
  /** How late a run may start and still count as scheduled. */
  onTimeTolerance_ms?: number;
  /** Attempts for one due time when each dies: a crash does not loop. */
  maxAttempts?: number;
}

export type SkipReason = 'overlap' | 'catch-up-off' | 'attempts';

/** `missed` counts the due times settled by the answer that get no run of their own, up to MISSED_LIMIT. */
export type DueDecision =
  | { kind: 'wait'; until: Date; rebase?: Date }
  | { kind: 'run'; due: Date; trigger: 'schedule' | 'catch-up'; attempt: number; missed: number }
  | { kind: 'skip'; due: Date; reason: SkipReason; missed: number };

const ON_TIME_TOLERANCE_MS = 60_000;
const MAX_ATTEMPTS = 2;
export const MISSED_LIMIT = 1_000;

/** What to do now. Asking changes nothing: see `applyDecision`. */
export function decideDue(
  state: JobScheduleState,
  cron: CronSchedule,
  now: Date,
  policy: DuePolicy,
): DueDecision {
  const { job } = state;
  const { jitter_ms } = policy;
  const anchor = later(state.baseline, state.lastDue);
  if (isFarAhead(anchor, now)) {
    return { kind: 'wait', until: fireTime(cron, job, nextDue(cron, now), jitter_ms), rebase: now };
  }

  const newest = newestDue(cron, now);
  const isNew = newest !== undefined && newest > anchor;
  const due = isNew ? newest : diedDue(state);
  if (due === undefined) {
    return { kind: 'wait', until: fireTime(cron, job, nextDue(cron, later(now, anchor)), jitter_ms) };
  }

  const fire = fireTime(cron, job, due, jitter_ms);
  if (fire > now) return { kind: 'wait', until: fire };
  const passed = isNew ? duesBetween(cron, anchor, now, MISSED_LIMIT).count : 0;
  if (state.busy) return { kind: 'skip', due, reason: 'overlap', missed: passed };
  const attempts = isNew ? 0 : state.attempts;
  if (attempts >= (policy.maxAttempts ?? MAX_ATTEMPTS)) {
    return { kind: 'skip', due, reason: 'attempts', missed: passed };
  }
  const late_ms = now.getTime() - fire.getTime();
  const onTime = late_ms <= (policy.onTimeTolerance_ms ?? ON_TIME_TOLERANCE_MS);
  if (!onTime && !policy.catchUp) return { kind: 'skip', due, reason: 'catch-up-off', missed: passed };
  return {
    kind: 'run',
    due,
    trigger: onTime ? 'schedule' : 'catch-up',
    attempt: attempts + 1,
    missed: Math.max(0, passed - 1),
  };
}

/** The state once a decision has been carried out (and, but for `wait`, written to the journal). */
export function applyDecision(state: JobScheduleState, decision: DueDecision): JobScheduleState {
  if (decision.kind === 'run') {
    return { ...state, lastDue: decision.due, attempts: decision.attempt, lastDueEnded: false, busy: true };
  }
  if (decision.kind === 'skip') {
    return { ...state, lastDue: decision.due, attempts: 0, lastDueEnded: true };
  }
  if (decision.rebase === undefined) return state;
  return { ...state, baseline: decision.rebase, lastDue: undefined, attempts: 0, lastDueEnded: true };
}

/**
 * When a due time fires: up to `jitter_ms` late, by an offset drawn from the job's name and the due time, so
 * that a restart draws the same. Never later than half-way to the next due time, which would otherwise
 * overtake it.
 */
export function fireTime(cron: CronSchedule, job: string, due: Date, jitter_ms: number): Date {
  if (jitter_ms <= 0) return due;
  const gap_ms = nextDue(cron, due).getTime() - due.getTime();
  const window_ms = Math.min(jitter_ms, Math.floor(gap_ms / 2));
  const digest = createHash('sha256').update(`${job}\0${due.toISOString()}`).digest();
  const fraction = digest.readUIntBE(0, 6) / 2 ** 48;
  return new Date(due.getTime() + Math.floor(fraction * (window_ms + 1)));
}

/** The due time whose run started and died with the daemon. One of an earlier schedule is not made up. */
function diedDue({ baseline, lastDue, attempts, lastDueEnded, busy }: JobScheduleState): Date | undefined {
  const died = lastDue !== undefined && lastDue > baseline && attempts >= 1 && !lastDueEnded && !busy;
  return died ? lastDue : undefined;
}

function later(a: Date, b: Date | undefined): Date {
  return b !== undefined && b > a ? b : a;
}
