import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CronSchedule, duesBetween, nextDue, parseCron } from '../../src/domain/cron.ts';
import {
  applyDecision,
  decideDue,
  type DueDecision,
  type DuePolicy,
  type JobScheduleState,
} from '../../src/domain/due.ts';

const HOUR_MS = 3_600_000;
const START = new Date('2026-10-23T12:00:00Z');

const SCHEDULES = fc
  .tuple(
    fc.constantFrom('30 1 * * *', '30 2,14 * * *', '0 * * * *', '*/20 * * * *', '0 3 * * SUN', '15 2 * * *'),
    fc.constantFrom('UTC', 'Europe/Lisbon', 'America/New_York', 'Australia/Lord_Howe'),
  )
  .map(([expression, timezone]) => cron(expression, timezone));
const POLICIES: fc.Arbitrary<DuePolicy> = fc.record({
  catchUp: fc.boolean(),
  jitter_ms: fc.constantFrom(0, 0, 300_000, 7_200_000),
});

/** What happens to a daemon: time passes, the clock is set, a run ends, the process dies. */
type Happening =
  | { kind: 'wakes'; after_ms: number }
  | { kind: 'sleeps'; after_ms: number }
  | { kind: 'clock set'; by_ms: number }
  | { kind: 'run ends' }
  | { kind: 'crash' };

function happening(step: fc.Arbitrary<number>): fc.Arbitrary<Happening> {
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('wakes'), after_ms: fc.integer({ min: 1, max: HOUR_MS }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('sleeps'),
        after_ms: fc.integer({ min: 1, max: 100 * HOUR_MS }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('clock set'), by_ms: step }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('run ends') }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash') }) },
  );
}

interface Asked {
  now: Date;
  before: JobScheduleState;
  decision: DueDecision;
}

/** Lives through the happenings; after each the daemon asks until it is told to wait. */
function live(schedule: CronSchedule, policy: DuePolicy, happenings: readonly Happening[]): Asked[] {
  const asked: Asked[] = [];
  let now = START;
  let state: JobScheduleState = { job: 'app', baseline: START, attempts: 0, lastDueEnded: true, busy: false };
  for (const one of happenings) {
    if (one.kind === 'wakes' || one.kind === 'sleeps') now = new Date(now.getTime() + one.after_ms);
    if (one.kind === 'clock set') now = new Date(now.getTime() + one.by_ms);
    if (one.kind === 'run ends' && state.busy) state = { ...state, busy: false, lastDueEnded: true };
    if (one.kind === 'crash') state = { ...state, busy: false };
    for (let round = 0; ; round += 1) {
      const decision = decideDue(state, schedule, now, policy);
      asked.push({ now, before: state, decision });
      if (round > 3) throw new Error('the daemon does not come to rest');
      state = applyDecision(state, decision);
      if (decision.kind === 'wait') break;
    }
  }
  return asked;
}

function cron(expression: string, timezone: string): CronSchedule {
  const parsed = parseCron(expression, timezone);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.cron;
}

const ANY_STEP = fc.integer({ min: -100 * HOUR_MS, max: 100 * HOUR_MS });
const FORWARD = fc.integer({ min: 1, max: 100 * HOUR_MS });

describe('a daemon that lives through downtime, crashes and clock steps', () => {
  test('never runs a due time again that ended or has had two attempts, unless the clock was far ahead', () => {
    fc.assert(
      fc.property(
        SCHEDULES,
        POLICIES,
        fc.array(happening(ANY_STEP), { maxLength: 60 }),
        (schedule, policy, life) => {
          const runs = new Map<number, number>();
          for (const { before, decision } of live(schedule, policy, life)) {
            if (decision.kind === 'wait' && decision.rebase !== undefined) runs.clear();
            if (decision.kind !== 'run') continue;
            const due = decision.due.getTime();
            const attempt = (runs.get(due) ?? 0) + 1;
            runs.set(due, attempt);
            expect(decision.attempt).toBe(attempt);
            expect(attempt).toBeLessThanOrEqual(2);
            expect(attempt === 1 || (!before.lastDueEnded && before.lastDue?.getTime() === due)).toBe(true);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  test('never runs two at once, never before the due time, and only later ones', () => {
    fc.assert(
      fc.property(
        SCHEDULES,
        POLICIES,
        fc.array(happening(ANY_STEP), { maxLength: 60 }),
        (schedule, policy, life) => {
          for (const { now, before, decision } of live(schedule, policy, life)) {
            const due = decision.kind === 'wait' ? undefined : decision.due;
            expect(decision.kind !== 'wait' || decision.until > now).toBe(true);
            expect(due === undefined || (due <= now && due > before.baseline)).toBe(true);
            expect(due === undefined || before.lastDue === undefined || due >= before.lastDue).toBe(true);
            expect(decision.kind === 'run' && before.busy).toBe(false);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  test('each due time either runs, is counted as missed or is still to come', () => {
    const forward = fc.array(happening(FORWARD), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(SCHEDULES, POLICIES, forward, (schedule, policy, life) => {
        const asked = live(schedule, policy, life);
        const settled = asked.reduce((sum, { decision }) => {
          if (decision.kind === 'wait') return sum;
          const own = decision.kind === 'run' && decision.attempt === 1 ? 1 : 0;
          return sum + own + decision.missed;
        }, 0);
        const end = asked.at(-1)?.before;
        const upTo = end?.lastDue ?? START;
        expect(settled).toBe(duesBetween(schedule, START, upTo, 100_000).count);
      }),
    );
  });

  test('after any downtime longer than the period exactly one run is made up', () => {
    const runsBefore = fc.integer({ min: 0, max: 20 });
    fc.assert(
      fc.property(
        SCHEDULES,
        runsBefore,
        fc.integer({ min: 1, max: 2_000 * HOUR_MS }),
        (schedule, count, extra_ms) => {
          let lastDue = START;
          for (let run = 0; run <= count; run += 1) lastDue = nextDue(schedule, lastDue);
          const period_ms = nextDue(schedule, lastDue).getTime() - lastDue.getTime();
          const back = new Date(lastDue.getTime() + period_ms + extra_ms);
          const state: JobScheduleState = {
            job: 'app',
            baseline: START,
            lastDue,
            attempts: 1,
            lastDueEnded: true,
            busy: false,
          };
          const policy = { catchUp: true, jitter_ms: 0 };
          const first = decideDue(state, schedule, back, policy);
          expect(first.kind).toBe('run');
          const ended = { ...applyDecision(state, first), busy: false, lastDueEnded: true };
          expect(decideDue(ended, schedule, back, policy)).toEqual({
            kind: 'wait',
            until: nextDue(schedule, back),
          });
        },
      ),
    );
  });
});
