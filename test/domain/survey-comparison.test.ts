import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { DumpSurvey } from '../../src/domain/dump-survey.ts';
import { RowCensus } from '../../src/domain/row-census.ts';
import { compareSurveys, tablesWrittenOtherwise } from '../../src/domain/survey-comparison.ts';

interface Row {
  name: string;
  rows?: number;
  sha?: string;
  bytes?: number;
  multiset?: string;
}

const ALL = { schema: true, roles: true };

function survey(tables: Row[], sections: Record<string, string> = {}, schema = 'schema'): DumpSurvey {
  return {
    contents: {
      tables: tables.map(({ name, rows = 3, sha = 'same', bytes = 30 }) => ({
        schema: 'public',
        name,
        rows,
        bytes,
        sha256: sha,
      })),
      schema_sha256: schema,
    },
    multisets: tables.map(({ multiset }) => multiset),
    censuses: tables.map(() => undefined),
    // `exact/loose`
    sections: new Map(
      Object.entries(sections).map(([key, text]) => {
        const [exact = '', loose = exact] = text.split('/');
        return [key, { exact, loose }];
      }),
    ),
    needs: { roles: [], superusers: [], extensions: [], tablespaces: [] },
    schemas: { made: [], used: [] },
  };
}

function censusOf(rows: readonly string[]): RowCensus {
  const census = new RowCensus();
  for (const row of rows) census.count(createHash('sha256').update(row).digest());
  return census;
}

describe('rows', () => {
  test('that are the same are no difference, in whatever order the tables come', () => {
    const archive = survey([{ name: 'a' }, { name: 'b', sha: 'x' }]);
    const restored = survey([{ name: 'b', sha: 'x' }, { name: 'a' }]);
    expect(compareSurveys(archive, restored, ALL)).toEqual({
      differences: [],
      reordered: 0,
      rewritten: 0,
      sameShape: true,
    });
  });

  test('in another order are the same when both digests of the multiset say so', () => {
    const archive = survey([{ name: 'a', sha: 'one', multiset: 'm' }]);
    const restored = survey([{ name: 'a', sha: 'two', multiset: 'm' }]);
    expect(tablesWrittenOtherwise(archive, restored).map(({ name }) => name)).toEqual(['a']);
    expect(compareSurveys(archive, restored, ALL)).toMatchObject({
      differences: [],
      reordered: 1,
      rewritten: 0,
    });
  });

  test('that are more, or longer, are not the same whatever their digest says', () => {
    const archive = survey([{ name: 'a', sha: 'one', multiset: 'm' }]);
    for (const other of [{ rows: 4 }, { bytes: 31 }]) {
      const restored = survey([{ name: 'a', sha: 'two', multiset: 'm', ...other }]);
      expect(compareSurveys(archive, restored, ALL)).toMatchObject({
        differences: [expect.stringMatching(/^table public\.a: 3 rows in /)],
        reordered: 0,
      });
    }
  });

  test('that differ are named, also where no multiset was asked for', () => {
    for (const multisets of [
      ['m', 'n'],
      [undefined, 'n'],
      ['m', undefined],
      [undefined, undefined],
    ]) {
      const [one, two] = multisets.map((multiset) => (multiset === undefined ? {} : { multiset }));
      const archive = survey([{ name: 'a', sha: 'one', ...one }]);
      const restored = survey([{ name: 'a', sha: 'two', ...two }]);
      expect(compareSurveys(archive, restored, ALL).differences).toEqual([
        'table public.a: 3 rows in both, but not the same data',
      ]);
    }
  });

  test('that are fewer, tables that are missing and tables that nobody dumped are named', () => {
    const archive = survey([{ name: 'a', rows: 5 }, { name: 'gone' }]);
    const restored = survey([{ name: 'a', rows: 4, sha: 'x' }, { name: 'more' }]);
    expect(compareSurveys(archive, restored, ALL).differences).toEqual([
      'table public.a: 5 rows in the archive, 4 restored',
      'table public.gone: missing from what was restored (3 rows in the archive)',
      'table public.more: not in the archive (3 rows restored)',
    ]);
  });

  test('are counted where their digests are', () => {
    const compared = (before: string[], after: string[]) => {
      const [archive, restored] = [before, after].map((rows, side) => {
        const found = survey([{ name: 'a', rows: rows.length, sha: `${side}`, multiset: `${side}` }]);
        found.censuses = [censusOf(rows)];
        return found;
      });
      if (archive === undefined || restored === undefined) throw new Error('there are two');
      return compareSurveys(archive, restored, ALL).differences.map((text) => text.replace(/^.*?: /, ''));
    };
    expect(compared(['a', 'b', 'c'], ['c', 'x', 'a'])).toEqual([
      '3 rows in both, but not the same data in at least 1',
    ]);
    expect(compared(['a', 'b', 'c'], ['a'])).toEqual([
      '3 rows in the archive, 1 restored (at least 2 of the archive missing)',
    ]);
    expect(compared(['a'], ['a', 'a', 'b'])).toEqual([
      '1 row in the archive, 3 restored (at least 2 not of the archive)',
    ]);
    expect(compared(['a', 'b'], ['c'])).toEqual([
      '2 rows in the archive, 1 restored (at least 2 of the archive missing, at least 1 not of the archive)',
    ]);
  });

  test('of tables whose names hold dots are told apart', () => {
    const [odd] = survey([{ name: 'x' }]).contents.tables;
    const archive = survey([]);
    const restored = survey([]);
    archive.contents.tables = [{ schema: 'a.b', name: 'c', rows: 1, bytes: 1, sha256: 'x' }];
    restored.contents.tables = [{ schema: 'a', name: 'b.c', rows: 1, bytes: 1, sha256: 'x' }];
    expect(odd).toBeDefined();
    expect(compareSurveys(archive, restored, ALL).differences).toHaveLength(2);
  });
});

describe('definitions', () => {
  const BEFORE = { 'TABLE public.a': 't1', 'FUNCTION public.f()': 'f1/f', 'ACL public.a': 'r1' };

  test('are not looked at when the whole text is the same', () => {
    const comparison = compareSurveys(survey([], { x: '1' }), survey([], { x: '2' }), ALL);
    expect(comparison.differences).toEqual([]);
  });

  test('that differ, are missing or are new are named; those written differently are counted', () => {
    const restored = survey(
      [],
      { 'TABLE public.a': 't2', 'FUNCTION public.f()': 'f2/f', 'VIEW public.v': 'v' },
      'other',
    );
    expect(compareSurveys(survey([], BEFORE), restored, ALL)).toEqual({
      differences: [
        'TABLE public.a: another definition than in the archive',
        'ACL public.a: missing from what was restored',
        'VIEW public.v: not in the archive',
      ],
      reordered: 0,
      rewritten: 1,
      sameShape: false,
    });
  });

  test('of owners and privileges are left aside where roles are missing', () => {
    const restored = survey([], { ...BEFORE, 'ACL public.a': 'r2' }, 'other');
    expect(compareSurveys(survey([], BEFORE), restored, { schema: true, roles: false }).differences).toEqual(
      [],
    );
    expect(compareSurveys(survey([], BEFORE), restored, ALL).differences).toEqual([
      'ACL public.a: other privileges than in the archive',
    ]);
  });

  test('are left aside across versions, but for what holds data', () => {
    const data = { 'SEQUENCE SET public.s': 's1', 'BLOBS BLOBS': 'b1' };
    const archive = survey([], { ...BEFORE, ...data });
    const restored = survey([], { 'SEQUENCE SET public.s': 's2', 'BLOBS BLOBS': 'b1' }, 'other');
    expect(compareSurveys(archive, restored, { schema: false, roles: true }).differences).toEqual([
      'SEQUENCE SET public.s: another value than in the archive',
    ]);
  });
});

describe('the same shape', () => {
  const ARCHIVE = survey([{ name: 'a' }], { 'TABLE public.a': 't1', 'SEQUENCE SET public.s': 's1' });
  const SAME = { 'TABLE public.a': 't1', 'SEQUENCE SET public.s': 's1' };

  test.each([
    ['rows read otherwise', [{ name: 'a', sha: 'x' }], SAME, true],
    ['definitions read otherwise', [{ name: 'a' }], { ...SAME, 'TABLE public.a': 't2' }, true],
    ['rows are fewer', [{ name: 'a', sha: 'x', rows: 2 }], SAME, false],
    ['a table is gone', [], SAME, false],
    ['a table is new', [{ name: 'a' }, { name: 'b' }], SAME, false],
    ['a definition is gone', [{ name: 'a', sha: 'x' }], { 'SEQUENCE SET public.s': 's1' }, false],
    ['a definition is new', [{ name: 'a' }], { ...SAME, 'VIEW public.v': 'v' }, false],
    ['a sequence goes on elsewhere', [{ name: 'a' }], { ...SAME, 'SEQUENCE SET public.s': 's2' }, false],
  ] as const)('when %s', (_, tables, sections, expected) => {
    const restored = survey([...tables], sections, 'other');
    const { sameShape, differences } = compareSurveys(ARCHIVE, restored, ALL);
    expect(differences).not.toEqual([]);
    expect(sameShape).toBe(expected);
  });
});
