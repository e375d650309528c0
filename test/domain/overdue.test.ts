import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CronSchedule, parseCron } from '../../src/domain/cron.ts';
import { overdueSince, usualDuration } from '../../src/domain/overdue.ts';

const HOUR_MS = 3_600_000;
const DAILY = cron('0 2 * * *');
const BASELINE = at('11-01T12:00:00');

function cron(expression: string): CronSchedule {
  const parsed = parseCron(expression, 'UTC');
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.cron;
}

function at(text: string): Date {
  return new Date(`2026-${text}Z`);
}

describe('overdueSince', () => {
  // Grace and usual duration together one hour, no jitter.
  test.each([
    ['a new job before its first due time', undefined, '11-02T01:00:00', undefined],
    ['a due time younger than grace', undefined, '11-02T02:59:00', undefined],
    ['exactly as old as grace', undefined, '11-02T03:00:00', undefined],
    ['older, no success ever', undefined, '11-02T03:00:00.001', '11-02T02:00:00'],
    ['older, a success after it', '11-02T02:10:00', '11-02T12:00:00', undefined],
    ['older, a success at its very instant', '11-02T02:00:00', '11-02T12:00:00', undefined],
    ['older, a success before it', '11-02T02:10:00', '11-03T03:00:01', '11-03T02:00:00'],
    [
      'several due times without success: since the first',
      '11-02T02:10:00',
      '11-09T12:00:00',
      '11-03T02:00:00',
    ],
    ['a success made up late', '11-09T11:00:00', '11-09T12:00:00', undefined],
    ['a success before the baseline', '10-20T02:10:00', '11-02T12:00:00', '11-02T02:00:00'],
  ])('%s', (_, success, now, since) => {
    const lastSuccess = success === undefined ? undefined : at(success);
    const expected = since === undefined ? undefined : at(since);
    expect(overdueSince(DAILY, BASELINE, lastSuccess, at(now), HOUR_MS, 0)).toEqual(expected);
  });

  test('jitter is waited for as well', () => {
    expect(overdueSince(DAILY, BASELINE, undefined, at('11-02T03:30:00'), HOUR_MS, HOUR_MS)).toBeUndefined();
    expect(overdueSince(DAILY, BASELINE, undefined, at('11-02T04:00:01'), HOUR_MS, HOUR_MS)).toEqual(
      at('11-02T02:00:00'),
    );
  });

  test('status stays green after a failure: a success dated by a clock far ahead does not count', () => {
    const future = new Date('2031-01-01T00:00:00Z');
    expect(overdueSince(DAILY, BASELINE, future, at('11-05T12:00:00'), HOUR_MS, 0)).toEqual(
      at('11-02T02:00:00'),
    );
    // A correction of some minutes is no reason for an alarm.
    expect(
      overdueSince(DAILY, BASELINE, at('11-05T12:10:00'), at('11-05T12:00:00'), HOUR_MS, 0),
    ).toBeUndefined();
  });

  test('an overdue job stays so until a success', () => {
    const hour = fc.integer({ min: 0, max: 2_000 });
    fc.assert(
      fc.property(hour, hour, hour, (successHour, nowHour, more) => {
        const success = new Date(BASELINE.getTime() + successHour * HOUR_MS);
        const now = new Date(success.getTime() + nowHour * HOUR_MS);
        const since = overdueSince(DAILY, BASELINE, success, now, HOUR_MS, 0);
        fc.pre(since !== undefined);
        const then = new Date(now.getTime() + more * HOUR_MS);
        expect(overdueSince(DAILY, BASELINE, success, then, HOUR_MS, 0)).toEqual(since);
        expect(overdueSince(DAILY, BASELINE, then, then, HOUR_MS, 0)).toBeUndefined();
      }),
    );
  });
});

describe('usualDuration', () => {
  test.each([
    [[], 0],
    [[7], 7],
    [[9, 1, 5], 5],
    [[4, 1, 2, 3], 2.5],
    [[60_000, 1_000, 1_000, 1_000], 1_000],
  ])('of %j is %d', (durations_ms, usual) => {
    expect(usualDuration(durations_ms)).toBe(usual);
  });

  test('only the last 20 count', () => {
    expect(usualDuration([...Array<number>(50).fill(9_000), ...Array<number>(20).fill(100)])).toBe(100);
  });

  test('the input is left as it is', () => {
    const durations_ms = [3, 1, 2];
    usualDuration(durations_ms);
    expect(durations_ms).toEqual([3, 1, 2]);
  });
});
