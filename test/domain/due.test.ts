import { describe, expect, test } from 'vitest';
import { type CronSchedule, parseCron } from '../../src/domain/cron.ts';
import {
  applyDecision,
  decideDue,
  type DueDecision,
  type DuePolicy,
  fireTime,
  type JobScheduleState,
  MISSED_LIMIT,
} from '../../src/domain/due.ts';

const POLICY: DuePolicy = { catchUp: true, jitter_ms: 0 };
const NEW: JobScheduleState = {
  job: 'app',
  baseline: new Date('2026-11-01T12:00:00Z'),
  attempts: 0,
  lastDueEnded: true,
  busy: false,
};
const DAILY = cron('0 2 * * *');

function cron(expression: string, timezone = 'UTC'): CronSchedule {
  const parsed = parseCron(expression, timezone);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.cron;
}

function at(text: string): Date {
  return new Date(`2026-${text}Z`);
}

/** A job that ran at its due time of 20 November. */
function ran(facts: Partial<JobScheduleState> = {}): JobScheduleState {
  return { ...NEW, lastDue: at('11-20T02:00:00'), attempts: 1, ...facts };
}

function decide(state: JobScheduleState, now: string, policy: Partial<DuePolicy> = {}): DueDecision {
  return decideDue(state, DAILY, at(now), { ...POLICY, ...policy });
}

describe('a job on time', () => {
  test('a new job waits for its first due time', () => {
    expect(decide(NEW, '11-01T12:00:00')).toEqual({ kind: 'wait', until: at('11-02T02:00:00') });
    // Even when one passed a minute before it was first seen.
    expect(decide({ ...NEW, baseline: at('11-01T02:00:01') }, '11-01T02:00:30').kind).toBe('wait');
  });

  test('a job that ran waits for the next due time', () => {
    expect(decide(ran(), '11-20T02:00:00')).toEqual({ kind: 'wait', until: at('11-21T02:00:00') });
  });

  test.each([
    ['11-21T01:59:59.999', 'wait'],
    ['11-21T02:00:00', 'schedule'],
    ['11-21T02:01:00', 'schedule'],
    ['11-21T02:01:00.001', 'catch-up'],
  ])('at %s: %s', (now, expected) => {
    const decision = decide(ran(), now);
    expect(decision.kind === 'run' ? decision.trigger : decision.kind).toBe(expected);
  });

  test('the tolerance can be set', () => {
    expect(decide(ran(), '11-21T02:03:00', { onTimeTolerance_ms: 180_000 })).toMatchObject({
      trigger: 'schedule',
    });
  });

  test('a run says its due time and attempt', () => {
    const due = at('11-21T02:00:00');
    expect(decide(ran(), '11-21T02:00:01')).toEqual({
      kind: 'run',
      due,
      trigger: 'schedule',
      attempt: 1,
      missed: 0,
    });
  });
});

describe('a job that is busy', () => {
  test('skips the due time: a job never overlaps itself', () => {
    const due = at('11-21T02:00:00');
    const state = ran({ lastDueEnded: false, busy: true });
    const decision = decide(state, '11-21T02:00:01');
    expect(decision).toEqual({ kind: 'skip', due, reason: 'overlap', missed: 1 });
    expect(decideDue(applyDecision(state, decision), DAILY, at('11-21T02:00:02'), POLICY)).toEqual({
      kind: 'wait',
      until: at('11-22T02:00:00'),
    });
  });

  test('waits while there is none', () => {
    expect(decide(ran({ lastDueEnded: false, busy: true }), '11-20T09:00:00')).toEqual({
      kind: 'wait',
      until: at('11-21T02:00:00'),
    });
  });
});

describe('missed and doubled runs', () => {
  test('downtime across several due times is made up once, not once per miss', () => {
    const decision = decide(ran(), '11-24T09:00:00');
    expect(decision).toEqual({
      kind: 'run',
      due: at('11-24T02:00:00'),
      trigger: 'catch-up',
      attempt: 1,
      missed: 3,
    });
    expect(decideDue(applyDecision(ran(), decision), DAILY, at('11-24T09:00:01'), POLICY)).toEqual({
      kind: 'wait',
      until: at('11-25T02:00:00'),
    });
  });

  test('with catch-up off all of it is skipped, once', () => {
    const decision = decide(ran(), '11-24T09:00:00', { catchUp: false });
    expect(decision).toEqual({ kind: 'skip', due: at('11-24T02:00:00'), reason: 'catch-up-off', missed: 4 });
    expect(
      decideDue(applyDecision(ran(), decision), DAILY, at('11-24T09:00:01'), { ...POLICY, catchUp: false })
        .kind,
    ).toBe('wait');
  });

  test('with catch-up off the due time of the return still runs', () => {
    expect(decide(ran(), '11-24T02:00:30', { catchUp: false })).toMatchObject({
      trigger: 'schedule',
      missed: 3,
    });
  });

  test('a suspend over the due time is made up on resume and does not fire twice', () => {
    const first = decide(ran(), '11-21T07:30:00');
    expect(first).toMatchObject({ kind: 'run', trigger: 'catch-up', missed: 0 });
    const after = applyDecision(ran(), first);
    for (const now of ['11-21T07:30:00', '11-21T07:30:01', '11-21T07:29:00', '11-21T06:45:00']) {
      expect(decide(after, now).kind).toBe('wait');
    }
  });

  test('a year of downtime of a job of every second counts no further than the limit', () => {
    const state = ran({
      lastDue: new Date('2025-11-20T02:00:00Z'),
      baseline: new Date('2025-01-01T00:00:00Z'),
    });
    expect(decideDue(state, cron('* * * * * *'), at('11-20T02:00:00'), POLICY)).toEqual({
      kind: 'run',
      due: at('11-20T02:00:00'),
      trigger: 'schedule',
      attempt: 1,
      missed: MISSED_LIMIT - 1,
    });
  });

  test.each([
    ['Europe/Lisbon', '30 1 * * *', '2026-03-28T12:00Z', '2026-03-29T01:00Z'],
    ['Europe/Lisbon', '30 1 * * *', '2026-10-24T12:00Z', '2026-10-25T00:30Z'],
    ['America/New_York', '30 2,14 * * *', '2026-03-08T00:00Z', '2026-03-08T07:00Z'],
    ['America/New_York', '30 1 * * *', '2026-10-31T12:00Z', '2026-11-01T05:30Z'],
    ['Australia/Lord_Howe', '15 2 * * *', '2026-10-03T00:00Z', '2026-10-03T15:30Z'],
    ['Australia/Lord_Howe', '45 1 * * *', '2026-04-04T00:00Z', '2026-04-04T14:45Z'],
  ])('in %s %s runs once through the change of the clocks', (zone, expression, seen, due) => {
    const schedule = cron(expression, zone);
    let state: JobScheduleState = { ...NEW, baseline: new Date(seen) };
    const runs: string[] = [];
    const start = new Date(due).getTime();
    for (let minute = -120; minute <= 180; minute += 5) {
      const decision = decideDue(state, schedule, new Date(start + minute * 60_000), POLICY);
      if (decision.kind === 'run') runs.push(`${decision.trigger} ${decision.due.toISOString()}`);
      state = { ...applyDecision(state, decision), busy: false, lastDueEnded: true };
    }
    expect(runs).toEqual([`schedule ${new Date(due).toISOString()}`]);
  });
});

describe('a run that died with the daemon', () => {
  const died = (attempts: number): JobScheduleState => ran({ attempts, lastDueEnded: false });

  test('is made up again', () => {
    const due = at('11-20T02:00:00');
    expect(decide(died(1), '11-20T02:10:00')).toEqual({
      kind: 'run',
      due,
      trigger: 'catch-up',
      attempt: 2,
      missed: 0,
    });
    expect(decide(died(1), '11-20T02:00:30')).toMatchObject({ trigger: 'schedule', attempt: 2 });
  });

  test('a crash does not loop: two attempts, one skip, then the next due time', () => {
    const due = at('11-20T02:00:00');
    const first = applyDecision(
      ran({ lastDue: at('11-19T02:00:00') }),
      decide(ran({ lastDue: at('11-19T02:00:00') }), '11-20T02:00:00'),
    );
    expect(first).toMatchObject({ lastDue: due, attempts: 1, lastDueEnded: false, busy: true });
    const second = applyDecision(first, decide({ ...first, busy: false }, '11-20T02:10:00'));
    expect(second).toMatchObject({ lastDue: due, attempts: 2, lastDueEnded: false, busy: true });
    const skip = decide({ ...second, busy: false }, '11-20T02:20:00');
    expect(skip).toEqual({ kind: 'skip', due, reason: 'attempts', missed: 0 });
    const given = applyDecision({ ...second, busy: false }, skip);
    expect(decide(given, '11-20T02:30:00')).toEqual({ kind: 'wait', until: at('11-21T02:00:00') });
    expect(decide(given, '11-21T02:00:00')).toMatchObject({ kind: 'run', attempt: 1, missed: 0 });
  });

  test('gives way to a newer due time, which has attempts of its own', () => {
    expect(decide(died(2), '11-22T09:00:00')).toEqual({
      kind: 'run',
      due: at('11-22T02:00:00'),
      trigger: 'catch-up',
      attempt: 1,
      missed: 1,
    });
  });

  test('is not made up when catch-up is off', () => {
    expect(decide(died(1), '11-20T09:00:00', { catchUp: false })).toMatchObject({
      kind: 'skip',
      reason: 'catch-up-off',
    });
  });

  test('is not made up for a schedule that has changed since', () => {
    expect(decide({ ...died(1), baseline: at('11-20T08:00:00') }, '11-20T09:00:00').kind).toBe('wait');
  });

  test('the number of attempts can be set', () => {
    expect(decide(died(2), '11-20T09:00:00', { maxAttempts: 3 })).toMatchObject({ kind: 'run', attempt: 3 });
  });
});

describe('a clock that was set', () => {
  test('forward over due times: one catch-up', () => {
    expect(decide(ran(), '12-20T09:00:00')).toMatchObject({ kind: 'run', trigger: 'catch-up', missed: 29 });
  });

  test('back by up to an hour: waits, never the same due time twice', () => {
    const next = { kind: 'wait', until: at('11-21T02:00:00') };
    expect(decide(ran(), '11-20T01:59:59')).toEqual(next);
    expect(decide(ran(), '11-20T01:00:00')).toEqual(next);
  });

  test('back by more: the job starts anew from there, instead of staying silent until a wrong date', () => {
    const wrong = ran({ lastDue: new Date('2031-05-01T02:00:00Z') });
    const now = at('11-20T12:00:00');
    const decision = decideDue(wrong, DAILY, now, POLICY);
    expect(decision).toEqual({ kind: 'wait', until: at('11-21T02:00:00'), rebase: now });
    const state = applyDecision(wrong, decision);
    expect(state).toMatchObject({ baseline: now, lastDue: undefined, attempts: 0, lastDueEnded: true });
    expect(decide(state, '11-20T12:00:01')).toEqual({ kind: 'wait', until: at('11-21T02:00:00') });
    expect(decide(state, '11-21T02:00:00')).toMatchObject({ kind: 'run', trigger: 'schedule' });
  });

  test('a job first seen under a clock far ahead starts anew as well', () => {
    const state = { ...NEW, baseline: new Date('2031-05-01T02:00:00Z') };
    expect(decide(state, '11-20T12:00:00')).toMatchObject({ kind: 'wait', rebase: at('11-20T12:00:00') });
  });

  test('one hour is the limit, to the millisecond', () => {
    const state = ran({ lastDue: at('11-20T02:00:00') });
    expect(decide(state, '11-20T01:00:00')).not.toHaveProperty('rebase');
    expect(decide(state, '11-20T00:59:59.999')).toHaveProperty('rebase');
  });
});

describe('jitter', () => {
  const JITTER_MS = 600_000;
  const due = at('11-21T02:00:00');
  const fire = fireTime(DAILY, 'app', due, JITTER_MS);

  test('a due time fires at its own offset, the same after a restart', () => {
    expect(fire.getTime()).toBeGreaterThan(due.getTime());
    expect(fire.getTime()).toBeLessThanOrEqual(due.getTime() + JITTER_MS);
    const decideAt = (now: Date): DueDecision =>
      decideDue(ran(), DAILY, now, { ...POLICY, jitter_ms: JITTER_MS });
    expect(decideAt(at('11-20T12:00:00'))).toEqual({ kind: 'wait', until: fire });
    expect(decideAt(due)).toEqual({ kind: 'wait', until: fire });
    expect(decideAt(new Date(fire.getTime() - 1))).toEqual({ kind: 'wait', until: fire });
    expect(decideAt(fire)).toMatchObject({ kind: 'run', due, trigger: 'schedule' });
    expect(decideAt(new Date(fire.getTime() + 60_000))).toMatchObject({ trigger: 'schedule' });
    expect(decideAt(new Date(fire.getTime() + 60_001))).toMatchObject({ trigger: 'catch-up' });
  });

  test('misses wait for the jitter of the newest due time, then count as missed', () => {
    const policy = { ...POLICY, jitter_ms: JITTER_MS };
    const long = ran({ lastDue: at('11-17T02:00:00') });
    expect(decideDue(long, DAILY, due, policy)).toEqual({ kind: 'wait', until: fire });
    expect(decideDue(long, DAILY, fire, policy)).toMatchObject({ trigger: 'schedule', missed: 3 });
  });

  test('jobs of one due time spread over the whole of it', () => {
    const offsets = Array.from({ length: 200 }, (_, job) => {
      return fireTime(DAILY, `job${job}`, due, JITTER_MS).getTime() - due.getTime();
    });
    expect(Math.min(...offsets)).toBeLessThan(JITTER_MS * 0.1);
    expect(Math.max(...offsets)).toBeGreaterThan(JITTER_MS * 0.9);
    expect(Math.max(...offsets)).toBeLessThanOrEqual(JITTER_MS);
  });

  test('a jitter longer than the period does not starve the job', () => {
    const minutely = cron('* * * * *');
    for (let minute = 0; minute < 60; minute += 1) {
      const one = new Date(due.getTime() + minute * 60_000);
      expect(fireTime(minutely, 'app', one, JITTER_MS).getTime() - one.getTime()).toBeLessThanOrEqual(30_000);
    }
  });
});
