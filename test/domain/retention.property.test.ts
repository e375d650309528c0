import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planRetention, type RetainableArchive, type RetentionPolicy } from '../../src/domain/retention.ts';

const ZONES = fc.constantFrom('UTC', 'Europe/Lisbon', 'America/New_York', 'Australia/Lord_Howe');
const CLOCK = fc.date({ min: new Date('1970-01-01'), max: new Date('2200-01-01'), noInvalidDate: true });
const COUNT = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 12 }));
const POLICY: fc.Arbitrary<RetentionPolicy> = fc.record({
  days: fc.oneof(COUNT, fc.integer({ min: 0, max: 400 })),
  keepLast: COUNT,
  hourly: COUNT,
  daily: COUNT,
  weekly: COUNT,
  monthly: COUNT,
  yearly: COUNT,
});
// Half-hour steps over a day, a month and three years around a change of the clocks: buckets are shared,
// times collide.
const SERIES: fc.Arbitrary<RetainableArchive[]> = fc
  .array(
    fc.record({
      step: fc.oneof(
        fc.integer({ min: 0, max: 48 }),
        fc.integer({ min: 0, max: 1_500 }),
        fc.integer({ min: 0, max: 52_000 }),
      ),
      pinned: fc.boolean(),
      verified: fc.oneof(fc.constant(true), fc.boolean()),
      incomplete: fc.boolean(),
    }),
    { maxLength: 30 },
  )
  .map((facts) =>
    facts.map(({ step, ...fact }, index) => ({
      filename: `archive_${index}`,
      at: new Date(Date.UTC(2026, 9, 25) - step * 1_800_000),
      ...fact,
      pinned: fact.pinned && index % 5 === 0,
    })),
  );

function keptOf(
  series: readonly RetainableArchive[],
  policy: RetentionPolicy,
  timezone: string,
  clock: Date,
): RetainableArchive[] {
  const { decisions } = planRetention(series, policy, timezone, clock, { force: true });
  const names = new Set(decisions.filter(({ action }) => action === 'keep').map(({ filename }) => filename));
  return series.filter(({ filename }) => names.has(filename));
}

function newestOf(archives: readonly RetainableArchive[]): RetainableArchive | undefined {
  return archives
    .toSorted((a, b) => a.at.getTime() - b.at.getTime() || (a.filename < b.filename ? -1 : 1))
    .at(-1);
}

describe('of any series, policy, time zone and clock', () => {
  test('the newest verified archive and the newest complete one are never removed', () => {
    fc.assert(
      fc.property(SERIES, POLICY, ZONES, CLOCK, (series, policy, zone, clock) => {
        const kept = keptOf(series, policy, zone, clock);
        const verified = series.filter((archive) => archive.verified);
        const complete = verified.filter(({ incomplete }) => !incomplete);
        const newest = [newestOf(verified), newestOf(complete)].filter((archive) => archive !== undefined);
        expect(kept).toEqual(expect.arrayContaining(newest));
      }),
    );
  });

  test('the archive from before an anomaly is never removed, and changes nothing for the others', () => {
    fc.assert(
      fc.property(SERIES, fc.nat(), POLICY, ZONES, CLOCK, (series, at, policy, zone, clock) => {
        fc.pre(series.length > 0);
        const held = series[at % series.length];
        const marked = series.map((each) => (each === held ? { ...each, beforeAnomalyOf: 'x' } : each));
        const names = keptOf(marked, policy, zone, clock).map(({ filename }) => filename);
        const unmarked = keptOf(series, policy, zone, clock).map(({ filename }) => filename);
        expect(new Set(names)).toEqual(new Set([...unmarked, held?.filename]));
      }),
    );
  });

  test('a pinned archive is never removed', () => {
    fc.assert(
      fc.property(SERIES, POLICY, ZONES, CLOCK, (series, policy, zone, clock) => {
        const kept = keptOf(series, policy, zone, clock);
        expect(kept).toEqual(expect.arrayContaining(series.filter(({ pinned }) => pinned)));
      }),
    );
  });

  test('adding a rule or raising one never removes more', () => {
    const key = fc.constantFrom('days', 'keepLast', 'hourly', 'daily', 'weekly', 'monthly', 'yearly');
    const raise = fc.integer({ min: 1, max: 40 });
    fc.assert(
      fc.property(SERIES, POLICY, key, raise, ZONES, CLOCK, (series, policy, rule, by, zone, clock) => {
        const more = keptOf(series, { ...policy, [rule]: policy[rule] + by }, zone, clock);
        expect(more).toEqual(expect.arrayContaining(keptOf(series, policy, zone, clock)));
      }),
    );
  });

  test('a series that stopped does not age away, whatever the clock says later', () => {
    fc.assert(
      fc.property(SERIES, POLICY, ZONES, fc.nat(100 * 365 * 86_400_000), (series, policy, zone, later_ms) => {
        fc.pre(series.some(({ verified }) => verified));
        const then = newestOf(series)?.at ?? new Date();
        const afterwards = new Date(then.getTime() + later_ms);
        expect(planRetention(series, policy, zone, afterwards)).toEqual(
          planRetention(series, policy, zone, then),
        );
      }),
    );
  });

  test('a clock set back never removes more', () => {
    fc.assert(
      fc.property(SERIES, POLICY, ZONES, CLOCK, fc.nat(), (series, policy, zone, clock, back_ms) => {
        const earlier = keptOf(series, policy, zone, new Date(clock.getTime() - back_ms));
        expect(earlier).toEqual(expect.arrayContaining(keptOf(series, policy, zone, clock)));
      }),
    );
  });

  test('the order of the input does not matter', () => {
    const shuffled = SERIES.chain((series) =>
      fc.tuple(fc.constant(series), fc.shuffledSubarray(series, { minLength: series.length })),
    );
    fc.assert(
      fc.property(shuffled, POLICY, ZONES, CLOCK, ([series, other], policy, zone, clock) => {
        expect(planRetention(other, policy, zone, clock)).toEqual(planRetention(series, policy, zone, clock));
      }),
    );
  });

  test('pruning what was kept removes nothing more', () => {
    fc.assert(
      fc.property(SERIES, POLICY, ZONES, CLOCK, (series, policy, zone, clock) => {
        const kept = keptOf(series, policy, zone, clock);
        expect(keptOf(kept, policy, zone, clock)).toEqual(kept);
      }),
    );
  });

  test('archives that are not verified never change which verified ones are kept', () => {
    fc.assert(
      fc.property(SERIES, POLICY, ZONES, CLOCK, (series, policy, zone, clock) => {
        const verified = series.filter((archive) => archive.verified);
        expect(keptOf(series, policy, zone, clock).filter((archive) => archive.verified)).toEqual(
          keptOf(verified, policy, zone, clock),
        );
      }),
    );
  });

  test('each archive has one decision with reasons, oldest first, and an unforced plan removes half at most', () => {
    fc.assert(
      fc.property(SERIES, POLICY, ZONES, CLOCK, fc.boolean(), (series, policy, zone, clock, force) => {
        const { decisions, heldBack } = planRetention(series, policy, zone, clock, { force });
        const at = new Map(series.map((archive) => [archive.filename, archive.at.getTime()]));
        const times = decisions.map(({ filename }) => at.get(filename) ?? Number.NaN);
        expect(times).toEqual(times.toSorted((a, b) => a - b));
        expect(new Set(decisions.map(({ filename }) => filename)).size).toBe(series.length);
        expect(decisions.every(({ reasons }) => reasons.length > 0 && !reasons.includes(''))).toBe(true);
        const removed = decisions.filter(({ action }) => action === 'remove').length;
        expect(removed).toBeLessThanOrEqual(force ? series.length : series.length / 2);
        expect(heldBack === undefined || removed === 0).toBe(true);
      }),
    );
  });
});
