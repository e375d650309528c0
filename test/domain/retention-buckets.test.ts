import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bucketsIn, PERIODS } from '../../src/domain/retention-buckets.ts';

describe('buckets by the wall clock of a time zone', () => {
  test.each([
    ['2026-11-23T23:30:00Z', 'UTC', 'daily', '2026-11-23'],
    ['2026-11-23T23:30:00Z', 'Asia/Tokyo', 'daily', '2026-11-24'],
    ['2026-11-30T23:30:00Z', 'Asia/Tokyo', 'monthly', '2026-12'],
    ['2026-12-31T23:30:00Z', 'Asia/Tokyo', 'yearly', '2027'],
    ['2026-11-23T00:05:00Z', 'UTC', 'hourly', '2026-11-23 00:00 UTC'],
    ['2026-07-01T12:05:00Z', 'Europe/Lisbon', 'hourly', '2026-07-01 13:00 UTC+01:00'],
  ] as const)('%s in %s, %s: %s', (at, timezone, period, bucket) => {
    expect(bucketsIn(timezone)(new Date(at), period)).toBe(bucket);
  });

  test.each([
    ['2026-11-23', '2026-W48'],
    ['2026-12-31', '2026-W53'],
    ['2027-01-01', '2026-W53'],
    ['2027-01-03', '2026-W53'],
    ['2027-01-04', '2027-W01'],
    ['2024-12-30', '2025-W01'],
    ['2021-01-03', '2020-W53'],
    ['2018-01-01', '2018-W01'],
  ])('ISO week of %s is %s: the week belongs to the year of its Thursday', (day, week) => {
    expect(bucketsIn('UTC')(new Date(`${day}T12:00:00Z`), 'weekly')).toBe(week);
  });

  test.each([
    ['Europe/Lisbon', '2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z'],
    ['America/New_York', '2026-11-01T05:30:00Z', '2026-11-01T06:30:00Z'],
    ['Australia/Lord_Howe', '2026-04-04T14:45:00Z', '2026-04-04T15:15:00Z'],
  ])('the hour repeated at the end of daylight saving time in %s is two buckets of one day', (zone, a, b) => {
    const bucketOf = bucketsIn(zone);
    expect(bucketOf(new Date(a), 'hourly')).not.toBe(bucketOf(new Date(b), 'hourly'));
    expect(bucketOf(new Date(a), 'hourly').slice(0, 16)).toBe(bucketOf(new Date(b), 'hourly').slice(0, 16));
    expect(bucketOf(new Date(a), 'daily')).toBe(bucketOf(new Date(b), 'daily'));
  });

  test('an unknown time zone is a RangeError', () => {
    expect(() => bucketsIn('Mars/Base')).toThrow(RangeError);
  });

  test('a finer bucket lies within one coarser bucket', () => {
    const instant = fc.date({
      min: new Date('1990-01-01'),
      max: new Date('2060-01-01'),
      noInvalidDate: true,
    });
    const zone = fc.constantFrom('UTC', 'Europe/Lisbon', 'Australia/Lord_Howe', 'Asia/Kathmandu');
    fc.assert(
      fc.property(instant, zone, (at, timezone) => {
        const bucketOf = bucketsIn(timezone);
        const [hour, day, , month, year] = PERIODS.map((period) => bucketOf(at, period));
        expect(hour?.startsWith(day ?? '?')).toBe(true);
        expect(day?.startsWith(month ?? '?')).toBe(true);
        expect(month?.startsWith(year ?? '?')).toBe(true);
      }),
    );
  });
});
