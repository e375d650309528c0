import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type CronSchedule, duesBetween, newestDue, nextDue, parseCron } from '../../src/domain/cron.ts';

function cron(expression: string, timezone = 'UTC'): CronSchedule {
  const parsed = parseCron(expression, timezone);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.cron;
}

/** All dues of a span, as UTC times to the minute. */
function duesOf(expression: string, timezone: string, from: string, to: string): string[] {
  return duesBetween(cron(expression, timezone), new Date(from), new Date(to), 1_000).dues.map((due) =>
    due.toISOString().slice(0, 16),
  );
}

describe('parseCron', () => {
  test.each([
    ['0 2 * * *', '2026-01-01T02:00:00.000Z'],
    ['30 0 2 * * *', '2026-01-01T02:00:30.000Z'],
    ['  0\t2 * * *  ', '2026-01-01T02:00:00.000Z'],
    ['*/15 * * * *', '2026-01-01T00:15:00.000Z'],
    ['0 0 29 2 *', '2028-02-29T00:00:00.000Z'],
    ['0 0 L * *', '2026-01-31T00:00:00.000Z'],
    ['0 0 * * MON', '2026-01-05T00:00:00.000Z'],
    ['0 0 * * 7', '2026-01-04T00:00:00.000Z'],
    ['@hourly', '2026-01-01T01:00:00.000Z'],
    ['@daily', '2026-01-02T00:00:00.000Z'],
    ['@weekly', '2026-01-04T00:00:00.000Z'],
    ['@monthly', '2026-02-01T00:00:00.000Z'],
    ['@yearly', '2027-01-01T00:00:00.000Z'],
  ])('%j is allowed', (expression, first) => {
    expect(nextDue(cron(expression), new Date('2026-01-01T00:00:00Z')).toISOString()).toBe(first);
  });

  test('day of the month and weekday are OR-ed', () => {
    expect(duesOf('0 0 13 * 5', 'UTC', '2026-11-01T00:00:00Z', '2026-11-21T00:00:00Z')).toEqual([
      '2026-11-06T00:00',
      '2026-11-13T00:00',
      '2026-11-20T00:00',
    ]);
    expect(duesOf('0 0 10 * 5', 'UTC', '2026-11-01T00:00:00Z', '2026-11-15T00:00:00Z')).toEqual([
      '2026-11-06T00:00',
      '2026-11-10T00:00',
      '2026-11-13T00:00',
    ]);
  });

  test.each([
    ['', /0 fields; allowed are 5/],
    ['foo', /1 fields/],
    ['* * * *', /4 fields/],
    ['0 0 2 * * * 2027', /7 fields/],
    ['2027-02-01T00:00:00Z', /1 fields/],
    ['2027-02-01T00:00:00', /1 fields/],
    ['@reboot', /'@reboot' is not supported; allowed are @hourly, /],
    ['@midnight', /not supported/],
    ['@every 5m', /not supported/],
    ['60 * * * *', /minute: 60$/],
    ['0 25 * * *', /^Invalid value for hour: 25$/],
    ['H 2 * * *', /illegal characters/],
    ['/5 * * * *', /stepping/],
    ['0 0 31 2 *', /never runs/],
    ['0 0 31 4,6,9,11 *', /never runs/],
    ['0 0 0 30 2 *', /never runs/],
  ])('%j is refused', (expression, reason) => {
    expect(parseCron(expression, 'UTC')).toEqual({ ok: false, reason: expect.stringMatching(reason) });
  });

  test('an unknown time zone is refused by name', () => {
    expect(parseCron('0 2 * * *', 'Mars/Base')).toEqual({
      ok: false,
      reason: "unknown time zone 'Mars/Base'; use an IANA name such as Europe/Lisbon",
    });
    expect(parseCron('0 2 * * *', '').ok).toBe(false);
  });
});

describe('nextDue and newestDue', () => {
  const daily = cron('0 2 * * *');

  test('nextDue is strictly after, newestDue at or before', () => {
    const due = new Date('2026-11-23T02:00:00Z');
    expect(nextDue(daily, due).toISOString()).toBe('2026-11-24T02:00:00.000Z');
    expect(nextDue(daily, new Date(due.getTime() - 1))).toEqual(due);
    expect(newestDue(daily, due)).toEqual(due);
    expect(newestDue(daily, new Date(due.getTime() + 999))).toEqual(due);
    expect(newestDue(daily, new Date(due.getTime() - 1))?.toISOString()).toBe('2026-11-22T02:00:00.000Z');
  });

  test('past the end of the calendar is a RangeError', () => {
    expect(() => nextDue(daily, new Date('3000-12-31T23:59:59Z'))).toThrow(RangeError);
  });
});

describe('duesBetween', () => {
  test('lists (after, upTo], oldest first', () => {
    const { dues, ...rest } = duesBetween(
      cron('0 2 * * *'),
      new Date('2026-11-20T02:00:00Z'),
      new Date('2026-11-23T02:00:00Z'),
      10,
    );
    expect(dues.map((due) => due.getUTCDate())).toEqual([21, 22, 23]);
    expect(rest).toEqual({ newest: new Date('2026-11-23T02:00:00Z'), count: 3, capped: false });
  });

  test('an interval without a due, or one turned round, has none', () => {
    const none = { dues: [], newest: undefined, count: 0, capped: false };
    const at = (hour: number): Date => new Date(Date.UTC(2026, 10, 23, hour));
    expect(duesBetween(cron('0 2 * * *'), at(2), at(9), 10)).toEqual(none);
    expect(duesBetween(cron('0 2 * * *'), at(9), at(1), 10)).toEqual(none);
  });

  test('a year of downtime of a job of every second is capped, not counted', () => {
    const upTo = new Date('2026-11-23T00:00:00Z');
    const { dues, ...rest } = duesBetween(cron('* * * * * *'), new Date('2025-11-23T00:00:00Z'), upTo, 100);
    expect(rest).toEqual({ newest: upTo, count: 100, capped: true });
    expect(dues[0]).toEqual(new Date(upTo.getTime() - 99_000));
  });

  test('exactly the limit is not capped', () => {
    const found = duesBetween(
      cron('0 2 * * *'),
      new Date('2026-11-20T02:00:00Z'),
      new Date('2026-11-23T02:00:00Z'),
      3,
    );
    expect(found).toMatchObject({ count: 3, capped: false });
  });
});

describe('daylight saving time', () => {
  test.each([
    // Lisbon: 01:00 -> 02:00 on 29 March, 02:00 -> 01:00 on 25 October (both at 01:00 UTC).
    ['30 1 * * *', 'Europe/Lisbon', '2026-03-28T12:00Z', '2026-03-30T12:00Z', ['03-29T01:00', '03-30T00:30']],
    ['30 1 * * *', 'Europe/Lisbon', '2026-10-24T12:00Z', '2026-10-26T12:00Z', ['10-25T00:30', '10-26T01:30']],
    // New York: 02:00 -> 03:00 on 8 March (07:00 UTC), 02:00 -> 01:00 on 1 November (06:00 UTC).
    [
      '30 2 * * *',
      'America/New_York',
      '2026-03-07T12:00Z',
      '2026-03-09T12:00Z',
      ['03-08T07:00', '03-09T06:30'],
    ],
    [
      '30 1 * * *',
      'America/New_York',
      '2026-10-31T12:00Z',
      '2026-11-02T12:00Z',
      ['11-01T05:30', '11-02T06:30'],
    ],
    // Lord Howe: half an hour. 02:00 -> 02:30 on 4 October (15:30 UTC on the 3rd), 02:00 -> 01:30 on 5 April
    // (15:00 UTC on the 4th).
    [
      '15 2 * * *',
      'Australia/Lord_Howe',
      '2026-10-03T00:00Z',
      '2026-10-05T00:00Z',
      ['10-03T15:30', '10-04T15:15'],
    ],
    [
      '45 1 * * *',
      'Australia/Lord_Howe',
      '2026-04-04T00:00Z',
      '2026-04-06T00:00Z',
      ['04-04T14:45', '04-05T15:15'],
    ],
  ])(
    '%s in %s, from %s: in the gap it is due at the end, repeated it is due once',
    (expression, zone, from, to, dues) => {
      expect(duesOf(expression, zone, from, to)).toEqual(dues.map((due) => `2026-${due}`));
    },
  );

  test('a list of hours counts as fixed times', () => {
    expect(duesOf('30 2,14 * * *', 'America/New_York', '2026-03-08T05:00Z', '2026-03-09T05:00Z')).toEqual([
      '2026-03-08T07:00',
      '2026-03-08T18:30',
    ]);
    expect(duesOf('30 1,13 * * *', 'America/New_York', '2026-11-01T04:00Z', '2026-11-02T04:00Z')).toEqual([
      '2026-11-01T05:30',
      '2026-11-01T18:30',
    ]);
  });

  test.each([
    ['Europe/Lisbon', '2026-03-29T00:00Z'],
    ['Europe/Lisbon', '2026-10-25T00:00Z'],
    ['America/New_York', '2026-03-08T06:00Z'],
    ['America/New_York', '2026-11-01T05:00Z'],
    ['Australia/Lord_Howe', '2026-10-03T15:00Z'],
    ['Australia/Lord_Howe', '2026-04-04T14:00Z'],
  ])('an interval in %s follows the time that passes through %s', (zone, from) => {
    const start = new Date(from).getTime();
    const { dues } = duesBetween(
      cron('*/10 * * * *', zone),
      new Date(start),
      new Date(start + 7_200_000),
      100,
    );
    expect(dues.map((due) => (due.getTime() - start) / 600_000)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
    ]);
  });

  test('looking back finds the same due times as looking ahead', () => {
    const expression = fc.constantFrom(
      '30 1 * * *',
      '30 2,14 * * *',
      '15 2 * * *',
      '45 1-3 * * *',
      '*/10 * * * *',
      '0 */2 * * *',
      '* 2 * * *',
      '17 30 1 * * *',
      '0 2 * * SUN',
      '0 3 1 * *',
    );
    const zone = fc.constantFrom('Europe/Lisbon', 'America/New_York', 'Australia/Lord_Howe', 'UTC');
    // Seconds within the four days around each change of a year's clocks.
    const change = fc.constantFrom(
      '2026-03-08',
      '2026-03-29',
      '2026-04-05',
      '2026-10-04',
      '2026-10-25',
      '2026-11-01',
    );
    fc.assert(
      fc.property(
        expression,
        zone,
        change,
        fc.integer({ min: -172_800, max: 172_800 }),
        (text, tz, day, second) => {
          const schedule = cron(text, tz);
          const at = new Date(new Date(`${day}T00:00:00Z`).getTime() + second * 1_000);
          const next = nextDue(schedule, at);
          expect(next > at).toBe(true);
          expect(newestDue(schedule, next)).toEqual(next);
          const before = newestDue(schedule, new Date(next.getTime() - 1));
          expect(before !== undefined && before <= at).toBe(true);
          expect(nextDue(schedule, before ?? at)).toEqual(next);
        },
      ),
      { numRuns: 500 },
    );
  });
});
