import { describe, expect, test } from 'vitest';
import {
  acknowledgedWith,
  baselinesIn,
  describeAnomaly,
  findAnomaly,
  heldBaselines,
  kindsOf,
  openAnomaly,
  type Substance,
} from '../../src/domain/anomaly.ts';
import type {
  Anomaly,
  FilesContents,
  ManifestSummary,
  TableContents,
  Verification,
} from '../../src/domain/manifest.ts';

const NONE: Anomaly = { baseline: '', findings: [] };
const HALF = { rowsDown: 0.5, sizeDown: 0.5 };

function table(name: string, rows: number, schema = 'public'): TableContents {
  return { schema, name, rows, bytes: rows * 10, sha256: '' };
}

function dump(tables: TableContents[], facts: Partial<Substance> = {}): Substance {
  return {
    filename: 'before.sql.gz',
    format: 'plain',
    raw_size: 1000,
    contents: { tables, schema_sha256: '' },
    ...facts,
  };
}

function tree(entries: number, bytes: number): Substance {
  const contents: FilesContents = { entries, bytes, digest: '', changed: [], incomplete: [] };
  return { filename: 'before.tar.gz', format: 'tar', raw_size: 10_240, contents };
}

/** `kind: detail` of each finding. */
function found(now: Substance, before: Substance, thresholds = HALF): string[] {
  return (findAnomaly(now, before, thresholds)?.findings ?? []).map(
    ({ kind, detail }) => `${kind}: ${detail}`,
  );
}

describe('a dump', () => {
  test('with the same contents, or more, has no anomaly', () => {
    const before = dump([table('a', 200), table('b', 0)]);
    expect(findAnomaly(before, before, HALF)).toBeUndefined();
    const more = dump([table('a', 300), table('b', 5), table('c', 1)], { raw_size: 5000 });
    expect(findAnomaly(more, before, HALF)).toBeUndefined();
  });

  test('names the archive it was compared with', () => {
    expect(findAnomaly(dump([]), dump([table('a', 1)]), HALF)?.baseline).toBe('before.sql.gz');
  });

  test('names each table that is gone, an empty one too, and the same name in another schema is another', () => {
    const before = dump([table('a', 200), table('none', 0), table('b', 3), table('b', 4, 'Other')]);
    expect(found(dump([table('a', 200), table('b', 3)]), before)).toEqual([
      'table_gone: Other.b: gone, it had 4 rows',
      'table_gone: public.none: gone, it had 0 rows',
    ]);
  });

  test('keeps names apart that look alike when they are joined', () => {
    const before = dump([table('b.c', 1, 'a'), table('c', 1, 'a.b')]);
    expect(found(dump([table('b.c', 1, 'a')]), before)).toEqual(['table_gone: a.b.c: gone, it had 1 row']);
  });

  test('goes by one share for rows and another for sizes', () => {
    const before = dump([table('a', 200)]);
    const now = dump([table('a', 100)], { raw_size: 500 });
    expect(kindsOf(findAnomaly(now, before, { rowsDown: 0.4, sizeDown: 0.9 }) ?? NONE)).toEqual([
      'rows_down',
    ]);
    expect(kindsOf(findAnomaly(now, before, { rowsDown: 0.9, sizeDown: 0.4 }) ?? NONE)).toEqual([
      'size_down',
    ]);
  });

  test('names a large table that lost rows, and all of them together, with before and after', () => {
    const before = dump([table('a', 1000), table('b', 100)]);
    expect(found(dump([table('a', 400), table('b', 100)]), before)).toEqual([
      'rows_down: all tables: 1100 rows before, 500 now',
      'rows_down: public.a: 1000 rows before, 400 now',
    ]);
    expect(found(dump([table('a', 1000), table('b', 10)]), before)).toEqual([
      'rows_down: public.b: 100 rows before, 10 now',
    ]);
  });

  test('passes over a table of fewer than 100 rows, which counts for all together', () => {
    const before = dump([table('a', 1000), table('b', 99)]);
    expect(found(dump([table('a', 1000), table('b', 0)]), before)).toEqual([]);
    expect(found(dump([table('b', 0), table('a', 1)]), dump([table('a', 1), table('b', 99)]))).toEqual([
      'rows_down: all tables: 100 rows before, 1 now',
    ]);
  });

  // 100 * 0.29 is 28.999999999999996.
  test.each([0.29, 0.5, 0.55, 0.57, 0.7, 0.9, 1])('down by exactly the share %d is none', (share) => {
    const lost = Math.round(share * 100);
    const thresholds = { rowsDown: share, sizeDown: share };
    const before = dump([table('a', 100)], { raw_size: 100 });
    const now = dump([table('a', 100 - lost)], { raw_size: 100 - lost });
    expect(found(now, before, thresholds).filter((line) => !line.startsWith('empty'))).toEqual([]);
    if (share === 1) return;
    const less = dump([table('a', 99 - lost)], { raw_size: 99 - lost });
    expect(kindsOf(findAnomaly(less, before, thresholds) ?? NONE)).toEqual(['rows_down', 'size_down']);
  });

  test('that shrank before compression says so in sizes, unless its format is another', () => {
    const before = dump([table('a', 10)], { raw_size: 5 * 1024 * 1024 });
    const now = dump([table('a', 10)], { raw_size: 2048 });
    expect(found(now, before)).toEqual(['size_down: 5.00 MB of data before, 2.00 KB now']);
    expect(found({ ...now, format: 'custom' }, before)).toEqual([]);
  });

  test('of emptied tables is empty, and so is one without tables; one that was so before is not', () => {
    const full = dump([table('a', 3), table('b', 0)]);
    const emptied = dump([table('a', 0), table('b', 0)]);
    expect(found(emptied, full, { rowsDown: 1, sizeDown: 1 })).toEqual([
      'empty: no row at all: there were 3',
    ]);
    expect(found(dump([]), full, { rowsDown: 1, sizeDown: 1 })).toEqual([
      'table_gone: public.a: gone, it had 3 rows',
      'table_gone: public.b: gone, it had 0 rows',
      'empty: no table at all: there were 2',
    ]);
    expect(found(emptied, emptied)).toEqual([]);
    expect(found(dump([]), dump([]))).toEqual([]);
    expect(found(emptied, dump([]))).toEqual([]);
  });

  test('with thousands of losses tells of the largest, and how many more there are', () => {
    const tables = Array.from({ length: 3000 }, (_, at) => table(`t${String(at).padStart(4, '0')}`, at));
    const findings = findAnomaly(dump([table('other', 9_000_000)]), dump(tables), HALF)?.findings ?? [];
    expect(findings).toHaveLength(21);
    expect(findings[0]).toEqual({ kind: 'table_gone', detail: 'public.t2999: gone, it had 2999 rows' });
    expect(findings.at(-1)).toEqual({ kind: 'table_gone', detail: 'and 2980 more' });
  });

  test('shows names without what a terminal would obey', () => {
    const before = dump([table('\u001b[2Jx\n\u202e', 1), table('a', 1)]);
    expect(found(dump([table('a', 1)]), before)).toEqual([
      String.raw`table_gone: public.\u{1b}[2Jx\u{a}\u{202e}: gone, it had 1 row`,
    ]);
  });
});

describe('a files archive', () => {
  test('counts entries as rows and its data as size', () => {
    expect(found(tree(40, 1024), tree(100, 4096))).toEqual([
      'rows_down: 100 entries before, 40 now',
      'size_down: 4.00 KB of data before, 1.00 KB now',
    ]);
    expect(found(tree(50, 2048), tree(100, 4096))).toEqual([]);
    const fewer = tree(50, 2048);
    expect(kindsOf(findAnomaly(fewer, tree(100, 4096), { rowsDown: 0.4, sizeDown: 0.9 }) ?? NONE)).toEqual([
      'rows_down',
    ]);
  });

  test('of nothing but directories is empty after one with data', () => {
    expect(found(tree(1, 0), tree(2, 7), { rowsDown: 1, sizeDown: 1 })).toEqual([
      'empty: no data at all: there were 2 entries with 7 B of data',
    ]);
    expect(found(tree(1, 0), tree(1, 0))).toEqual([]);
  });

  test('is not compared with a dump', () => {
    expect(findAnomaly(tree(1, 0), dump([table('a', 9)]), HALF)).toBeUndefined();
    expect(findAnomaly(dump([]), tree(9, 9), HALF)).toBeUndefined();
  });
});

test('an anomaly has its kinds once each, in a fixed order, and a text', () => {
  const anomaly: Anomaly = {
    baseline: 'x',
    findings: [
      { kind: 'empty', detail: 'three' },
      { kind: 'rows_down', detail: 'one' },
      { kind: 'rows_down', detail: 'two' },
    ],
  };
  expect(kindsOf(anomaly)).toEqual(['rows_down', 'empty']);
  expect(describeAnomaly(anomaly)).toBe('three; one; two');
  expect(openAnomaly({ anomaly })).toBe(anomaly);
  expect(openAnomaly({ anomaly: { ...anomaly, acknowledged: { at: '', actor: '' } } })).toBeUndefined();
  expect(openAnomaly({})).toBeUndefined();
});

const NOW = new Date('2026-11-20T12:00:00.000Z');

interface SummaryFacts {
  ok?: boolean;
  incomplete?: boolean;
  type?: 'files';
  created_at?: string;
  baseline?: number;
  acknowledged?: boolean;
}

/** An archive of a day of November 2026; a baseline is a day, too. */
function archive(day: number, facts: SummaryFacts = {}): ManifestSummary {
  const { ok = true, incomplete = false, type = 'database', baseline, acknowledged = false } = facts;
  const created_at = facts.created_at ?? new Date(Date.UTC(2026, 10, day, 2)).toISOString();
  const anomaly: Anomaly | undefined =
    baseline === undefined
      ? undefined
      : {
          baseline: String(baseline),
          findings: [{ kind: 'empty', detail: '' }],
          ...(acknowledged ? { acknowledged: { at: '', actor: '' } } : {}),
        };
  const verification = { ok } as Verification;
  return { filename: String(day), type, created_at, incomplete, verification, anomaly } as ManifestSummary;
}

describe('the baseline', () => {
  const names = (series: ManifestSummary[]) =>
    baselinesIn(series, 'database', NOW).map(({ filename }) => filename);

  test('is the newest archive; those before it come next', () => {
    expect(names([])).toEqual([]);
    expect(names([archive(1), archive(2), archive(3)])).toEqual(['3', '2', '1']);
  });

  test.each<[string, SummaryFacts]>([
    ['does not verify', { ok: false }],
    ['is incomplete', { incomplete: true }],
    ['has an anomaly that nobody has acknowledged', { baseline: 1 }],
    ['is of the other type', { type: 'files' }],
    ['is dated later than the clock', { created_at: '2026-11-20T14:00:00.000Z' }],
  ])('is none that %s', (_, facts) => {
    expect(names([archive(1), archive(2, facts)])).toEqual(['1']);
  });

  test('may have an anomaly that was acknowledged, or be dated by a clock that was corrected a little', () => {
    const corrected = archive(3, { created_at: '2026-11-20T12:30:00.000Z' });
    expect(names([archive(1), archive(2, { baseline: 1, acknowledged: true }), corrected])).toEqual([
      '3',
      '2',
      '1',
    ]);
  });
});

test('a baseline is held for the newest archive with an open anomaly against it', () => {
  const series = [
    archive(1),
    archive(2, { baseline: 1 }),
    archive(3, { baseline: 1 }),
    archive(4),
    archive(5, { baseline: 4, acknowledged: true }),
    archive(6),
    archive(7, { baseline: 6 }),
  ];
  expect(heldBaselines(series)).toEqual(
    new Map([
      ['1', '3'],
      ['6', '7'],
    ]),
  );
});

test('an acknowledgement goes for the open ones before it with the same baseline, and for no others', () => {
  const series = [
    archive(1),
    archive(2, { baseline: 1 }),
    archive(3, { baseline: 1, acknowledged: true }),
    archive(4, { baseline: 3 }),
    archive(5, { baseline: 1 }),
    archive(6, { baseline: 1 }),
  ];
  expect(acknowledgedWith(series, '5')).toEqual(['2', '5']);
  expect(acknowledgedWith(series, '3')).toEqual(['2']);
  expect(acknowledgedWith(series, '1')).toEqual([]);
  expect(acknowledgedWith(series, 'unknown')).toEqual([]);
});
