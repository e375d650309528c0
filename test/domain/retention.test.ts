import { describe, expect, test } from 'vitest';
import { planRetention, type RetainableArchive, type RetentionPolicy } from '../../src/domain/retention.ts';

const OFF: RetentionPolicy = { days: 0, keepLast: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
const DEFAULTS: RetentionPolicy = { ...OFF, days: 30, keepLast: 1 };
const NOW = new Date('2026-11-23T12:00:00Z');

function archive(at: string, facts: Partial<RetainableArchive> = {}): RetainableArchive {
  return { filename: at, at: new Date(at), pinned: false, verified: true, incomplete: false, ...facts };
}

/** One archive a day at 02:00 UTC, the newest on `last`. */
function dailyArchives(last: string, count: number): RetainableArchive[] {
  const end = new Date(`${last}T02:00:00Z`).getTime();
  return Array.from({ length: count }, (_, age) => archive(new Date(end - age * 86_400_000).toISOString()));
}

function kept(series: RetainableArchive[], policy: RetentionPolicy, zone = 'UTC', clock = NOW): string[] {
  return planRetention(series, policy, zone, clock, { force: true })
    .decisions.filter(({ action }) => action === 'keep')
    .map(({ filename }) => filename);
}

function reasonsOf(
  series: RetainableArchive[],
  policy: RetentionPolicy,
  filename: string,
): string[] | undefined {
  return planRetention(series, policy, 'UTC', NOW, { force: true }).decisions.find(
    (decision) => decision.filename === filename,
  )?.reasons;
}

describe('the rules', () => {
  test('an empty series has an empty plan', () => {
    expect(planRetention([], DEFAULTS, 'UTC', NOW)).toEqual({ decisions: [] });
  });

  test('days counts 24 hours each back from the newest verified archive, the limit itself outside', () => {
    const series = [
      archive('2026-10-24T02:00:00Z'),
      archive('2026-10-24T02:00:01Z'),
      archive('2026-11-23T02:00:00Z'),
    ];
    expect(planRetention(series, DEFAULTS, 'UTC', NOW)).toEqual({
      decisions: [
        {
          filename: '2026-10-24T02:00:00Z',
          action: 'remove',
          reasons: ['outside every rule: 30 days old, not among the last 1'],
        },
        { filename: '2026-10-24T02:00:01Z', action: 'keep', reasons: ['within 30 days'] },
        {
          filename: '2026-11-23T02:00:00Z',
          action: 'keep',
          reasons: ['within 30 days', 'last 1', 'newest verified archive', 'newest complete archive'],
        },
      ],
    });
  });

  test('every reason to keep an archive is listed', () => {
    const series = [archive('2026-11-22T02:00:00Z'), archive('2026-11-23T02:00:00Z', { pinned: true })];
    const policy = { days: 30, keepLast: 2, hourly: 1, daily: 1, weekly: 1, monthly: 1, yearly: 1 };
    expect(reasonsOf(series, policy, '2026-11-23T02:00:00Z')).toEqual([
      'within 30 days',
      'last 2',
      'hourly: newest of 2026-11-23 02:00 UTC',
      'daily: newest of 2026-11-23',
      'weekly: newest of 2026-W48',
      'monthly: newest of 2026-11',
      'yearly: newest of 2026',
      'newest verified archive',
      'newest complete archive',
      'pinned',
    ]);
  });

  test('a removed archive says of each rule why it is outside', () => {
    const series = [
      archive('2026-10-01T02:00:00Z'),
      archive('2026-11-22T02:00:00Z'),
      archive('2026-11-22T14:00:00Z'),
      archive('2026-11-23T02:00:00Z'),
    ];
    const policy = { ...OFF, days: 1, daily: 2, monthly: 1 };
    expect(reasonsOf(series, policy, '2026-10-01T02:00:00Z')).toEqual([
      'outside every rule: 53 days old, daily: 2026-10-01 is not among the last 2 days, monthly: 2026-10 is not among the last 1 months',
    ]);
    expect(reasonsOf(series, policy, '2026-11-22T02:00:00Z')).toEqual([
      'outside every rule: 1 day old, daily: not the newest of 2026-11-22, monthly: not the newest of 2026-11',
    ]);
  });

  test('days only, keepLast only', () => {
    const series = dailyArchives('2026-11-23', 10);
    expect(kept(series, { ...OFF, days: 3 })).toHaveLength(3);
    expect(kept(series, { ...OFF, keepLast: 4 })).toHaveLength(4);
  });

  test('the newest of a bucket is kept, in the buckets of the time zone', () => {
    const series = [
      archive('2026-11-21T15:30:00Z'),
      archive('2026-11-22T14:30:00Z'),
      archive('2026-11-22T15:30:00Z'),
      archive('2026-11-23T02:00:00Z'),
    ];
    expect(kept(series, { ...OFF, daily: 2 }, 'UTC')).toEqual([
      '2026-11-22T15:30:00Z',
      '2026-11-23T02:00:00Z',
    ]);
    // 15:30 UTC is the next day in Tokyo.
    expect(kept(series, { ...OFF, daily: 2 }, 'Asia/Tokyo')).toEqual([
      '2026-11-22T14:30:00Z',
      '2026-11-23T02:00:00Z',
    ]);
  });

  test('buckets without an archive do not use up the count', () => {
    const series = [
      archive('2024-05-01T02:00:00Z'),
      archive('2026-02-01T02:00:00Z'),
      archive('2026-11-23T02:00:00Z'),
    ];
    expect(kept(series, { ...OFF, monthly: 3 })).toHaveLength(3);
    expect(kept(series, { ...OFF, monthly: 2 })).toEqual(['2026-02-01T02:00:00Z', '2026-11-23T02:00:00Z']);
    expect(kept(series, { ...OFF, yearly: 2 })).toEqual(['2024-05-01T02:00:00Z', '2026-11-23T02:00:00Z']);
  });

  test('weeks are ISO weeks across the turn of the year', () => {
    const series = ['2026-12-27', '2026-12-31', '2027-01-02', '2027-01-04'].map((day) =>
      archive(`${day}T02:00:00Z`),
    );
    // 2026-W52 | 2026-W53, both days of it | 2027-W01
    expect(kept(series, { ...OFF, weekly: 3 }, 'UTC', new Date('2027-01-05'))).toEqual([
      '2026-12-27T02:00:00Z',
      '2027-01-02T02:00:00Z',
      '2027-01-04T02:00:00Z',
    ]);
  });

  test('the hour repeated at the end of daylight saving time counts as two hours', () => {
    const series = ['2026-10-25T00:30:00Z', '2026-10-25T01:30:00Z', '2026-10-25T02:30:00Z'].map((at) =>
      archive(at),
    );
    expect(kept(series, { ...OFF, hourly: 3 }, 'Europe/Lisbon')).toHaveLength(3);
  });

  test('a grandfather-father-son policy over two years', () => {
    const series = dailyArchives('2026-11-23', 730);
    const names = kept(series, { ...OFF, daily: 7, weekly: 4, monthly: 12, yearly: 2 });
    expect(names.slice(-7).map((name) => name.slice(0, 10))).toEqual(
      ['17', '18', '19', '20', '21', '22', '23'].map((day) => `2026-11-${day}`),
    );
    // Sundays end the weeks before, last days the months, 31 December the year.
    expect(names).toContain('2026-11-15T02:00:00.000Z');
    expect(names).toContain('2026-11-08T02:00:00.000Z');
    expect(names).not.toContain('2026-11-01T02:00:00.000Z');
    expect(names).toContain('2026-10-31T02:00:00.000Z');
    expect(names).toContain('2025-12-31T02:00:00.000Z');
    expect(names).toHaveLength(7 + 2 + 11);
  });

  test('of equal times the filename that sorts last is the newest', () => {
    const at = new Date('2026-11-23T02:00:00Z');
    const series = ['b', 'a', 'c'].map((filename) => ({ ...archive('2026-11-23T02:00:00Z'), at, filename }));
    expect(kept(series, { ...OFF, keepLast: 1 })).toEqual(['c']);
    expect(planRetention(series, DEFAULTS, 'UTC', NOW).decisions.map(({ filename }) => filename)).toEqual([
      'a',
      'b',
      'c',
    ]);
  });

  test('an unknown time zone is a RangeError, even of an empty series', () => {
    expect(() => planRetention([], DEFAULTS, 'Mars/Base', NOW)).toThrow(RangeError);
  });
});

describe('what is kept whatever the policy', () => {
  test('one from before an anomaly, whatever else is true of it, and it fills no place of the others', () => {
    const before = (day: number, facts: Partial<RetainableArchive> = {}) =>
      archive(`2026-0${day}-01T02:00:00Z`, { beforeAnomalyOf: 'x', ...facts });
    const reason = 'last archive from before the anomaly of x, which nobody has acknowledged';
    const series = [
      before(1),
      before(2, { verified: false }),
      before(3, { pinned: true }),
      archive('2026-11-22T02:00:00Z'),
      archive('2026-11-23T02:00:00Z'),
    ];
    const { decisions } = planRetention(series, { ...OFF, keepLast: 2 }, 'UTC', NOW);
    expect(decisions.map(({ action, reasons }) => [action, reasons])).toEqual([
      ['keep', [reason]],
      ['keep', [reason]],
      ['keep', ['pinned', reason]],
      ['keep', ['last 2']],
      ['keep', ['last 2', 'newest verified archive', 'newest complete archive']],
    ]);
  });

  test('the newest verified, the newest complete and the pinned archives', () => {
    const series = [
      archive('2026-01-01T02:00:00Z', { pinned: true }),
      archive('2026-02-01T02:00:00Z'),
      archive('2026-03-01T02:00:00Z'),
      archive('2026-11-22T02:00:00Z', { incomplete: true }),
      archive('2026-11-23T02:00:00Z', { incomplete: true }),
    ];
    const { decisions } = planRetention(series, { ...OFF, keepLast: 1 }, 'UTC', NOW, { force: true });
    expect(decisions.map(({ action, reasons }) => [action, reasons])).toEqual([
      ['keep', ['pinned']],
      ['remove', ['outside every rule: not among the last 1']],
      ['keep', ['newest complete archive']],
      ['remove', ['outside every rule: not among the last 1']],
      ['keep', ['last 1', 'newest verified archive']],
    ]);
  });

  test('without any rule only these stay', () => {
    const series = dailyArchives('2026-11-23', 3);
    expect(kept(series, OFF)).toEqual(['2026-11-23T02:00:00.000Z']);
    expect(reasonsOf(series, OFF, '2026-11-21T02:00:00.000Z')).toEqual([
      'outside every rule: no rule is set',
    ]);
  });
});

describe('archives that are not verified', () => {
  const broken = (at: string): RetainableArchive => archive(at, { verified: false });

  test('are kept for inspection for the days of the policy, 30 at least', () => {
    const series = [broken('2026-11-20T02:00:00Z'), archive('2026-11-23T02:00:00Z')];
    const of = (days: number): string[] | undefined =>
      reasonsOf(series, { ...DEFAULTS, days }, '2026-11-20T02:00:00Z');
    expect(of(1)).toEqual(['not verified: kept for inspection for 30 days']);
    expect(of(90)).toEqual(['not verified: kept for inspection for 90 days']);
  });

  test('are removed once they are older and a newer verified archive exists', () => {
    const series = [broken('2026-10-24T02:00:00Z'), archive('2026-11-23T02:00:00Z')];
    expect(planRetention(series, DEFAULTS, 'UTC', NOW).decisions[0]).toEqual({
      filename: '2026-10-24T02:00:00Z',
      action: 'remove',
      reasons: ['not verified: 30 days old, kept for inspection for 30 days only'],
    });
    expect(kept(series, { ...DEFAULTS, days: 31 })).toHaveLength(2);
  });

  test('are kept while they are all there is, however old', () => {
    const series = [broken('2020-01-01T02:00:00Z'), broken('2020-01-02T02:00:00Z')];
    expect(
      planRetention(series, DEFAULTS, 'UTC', NOW, { force: true }).decisions.map(({ reasons }) => reasons),
    ).toEqual([
      ['not verified: kept until there is a newer verified archive'],
      ['not verified: kept until there is a newer verified archive'],
    ]);
  });
});

describe('holding back', () => {
  test('removing more than half of a series in one go keeps everything and says so', () => {
    const series = dailyArchives('2026-11-23', 10);
    const plan = planRetention(series, { ...OFF, keepLast: 4 }, 'UTC', NOW);
    expect(plan.decisions.every(({ action }) => action === 'keep')).toBe(true);
    expect(plan.heldBack).toMatchObject({ removing: 6, of: 10 });
    expect(plan.heldBack?.message).toContain('6 of 10');
    expect(plan.decisions[0]?.reasons).toEqual([
      'held back: removing 6 of 10 archives in one go needs --force (outside every rule: not among the last 4)',
    ]);
    expect(plan.decisions.at(-1)?.reasons).toContain('last 4');
  });

  test('force removes them', () => {
    const series = dailyArchives('2026-11-23', 10);
    const plan = planRetention(series, { ...OFF, keepLast: 4 }, 'UTC', NOW, { force: true });
    expect(plan.decisions.filter(({ action }) => action === 'remove')).toHaveLength(6);
    expect(plan.heldBack).toBeUndefined();
  });

  test('half is not more than half: 1 of 2, 5 of 10', () => {
    const removed = (count: number, keepLast: number): number =>
      planRetention(dailyArchives('2026-11-23', count), { ...OFF, keepLast }, 'UTC', NOW).decisions.filter(
        ({ action }) => action === 'remove',
      ).length;
    expect([removed(2, 1), removed(10, 5), removed(3, 1)]).toEqual([1, 5, 0]);
  });
});

describe('traps others fell into', () => {
  test('age pruning after missed days left one backup', () => {
    // Five backups, then none for two months: the age of all of them is beyond 30 days by the clock.
    const series = dailyArchives('2026-09-20', 5);
    expect(kept(series, DEFAULTS)).toHaveLength(5);
    // The next success brings the time forward: the plan that then removes five of six is held back.
    const resumed = planRetention([...series, archive('2026-11-23T02:00:00Z')], DEFAULTS, 'UTC', NOW);
    expect(resumed.heldBack).toMatchObject({ removing: 5, of: 6 });
  });

  test('one archive dated by a clock far ahead does not age the others', () => {
    const series = [...dailyArchives('2026-11-23', 5), archive('2031-05-01T02:00:00Z')];
    expect(kept(series, DEFAULTS)).toHaveLength(6);
  });

  test('failed backups consumed keep-last-N', () => {
    const good = dailyArchives('2026-11-10', 3);
    const failed = dailyArchives('2026-11-23', 5).map((one) => ({ ...one, verified: false }));
    const names = kept([...good, ...failed], { ...OFF, keepLast: 3, daily: 3 });
    expect(names).toEqual(expect.arrayContaining(good.map(({ filename }) => filename)));
  });

  test('retain deleted the newest', () => {
    const series = dailyArchives('2026-11-23', 4).toReversed();
    for (const clock of ['1970-01-01', '2026-11-01', '2026-11-23T12:00:00Z', '2099-01-01']) {
      for (const policy of [OFF, DEFAULTS, { ...OFF, days: 1 }, { ...OFF, yearly: 1 }]) {
        expect(kept(series, policy, 'UTC', new Date(clock))).toContain('2026-11-23T02:00:00.000Z');
      }
    }
  });

  test('keep silently never fired', () => {
    // Whatever the rule, a series that grows day by day stays at its size instead of growing for ever.
    for (const rule of ['days', 'keepLast', 'daily'] as const) {
      let series: RetainableArchive[] = [];
      for (const one of dailyArchives('2026-11-23', 60).toReversed()) {
        const { decisions } = planRetention([...series, one], { ...OFF, [rule]: 7 }, 'UTC', one.at);
        const keep = new Set(
          decisions.filter(({ action }) => action === 'keep').map(({ filename }) => filename),
        );
        series = [...series, one].filter(({ filename }) => keep.has(filename));
      }
      expect(series).toHaveLength(7);
    }
  });
});

describe('archives dated by a wrong clock', () => {
  const future = archive('2099-01-01T00:00:00Z');

  test('one in the future is kept, and takes the place of none whose time is right', () => {
    const series = [archive('2026-11-22T02:00:00Z'), archive('2026-11-23T02:00:00Z'), future];
    expect(kept(series, { ...OFF, keepLast: 1 })).toEqual(['2026-11-23T02:00:00Z', future.filename]);
    expect(reasonsOf(series, { ...OFF, keepLast: 1 }, '2026-11-23T02:00:00Z')).toContain(
      'newest verified archive',
    );
  });

  test('it does not help a removal over the half that is held back', () => {
    const series = [...dailyArchives('2026-11-23', 3), future];
    expect(planRetention(series, { ...OFF, keepLast: 1 }, 'UTC', NOW).heldBack).toMatchObject({
      removing: 2,
      of: 3,
    });
  });

  test('a clock that fell back behind all archives removes nothing', () => {
    const series = dailyArchives('2026-11-23', 40);
    const fallen = new Date('2001-01-01T00:00:00Z');
    expect(kept(series, DEFAULTS, 'UTC', fallen)).toHaveLength(40);
  });
});
