import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findAnomaly, kindsOf, type Substance } from '../../src/domain/anomaly.ts';
import {
  ANOMALY_KINDS,
  type AnomalyKind,
  type FileRemark,
  type TableContents,
} from '../../src/domain/manifest.ts';

const SHARE = fc.double({ min: 0.001, max: 1, noNaN: true });
const THRESHOLDS = fc.record({ rowsDown: SHARE, sizeDown: SHARE });
const ROWS = fc.oneof(fc.constant(0), fc.nat(200), fc.nat());
const TABLES: fc.Arbitrary<TableContents[]> = fc.uniqueArray(
  fc.record({
    schema: fc.constantFrom('public', 'other'),
    // Few, so that two dumps have some in common; some that would collide if they were merely joined.
    name: fc.oneof(fc.constantFrom('a', 'b', 'c', 'a.b', ''), fc.string({ maxLength: 2 })),
    rows: ROWS,
    bytes: fc.constant(0),
    sha256: fc.constant(''),
  }),
  { selector: ({ schema, name }) => JSON.stringify([schema, name]), maxLength: 60 },
);
const DUMP: fc.Arbitrary<Substance> = fc.record({
  filename: fc.constant('baseline'),
  format: fc.constant('plain' as const),
  raw_size: fc.nat(),
  contents: TABLES.map((tables) => ({ tables, schema_sha256: '' })),
});
const NO_REMARKS: fc.Arbitrary<FileRemark[]> = fc.constant([]);
const TREE: fc.Arbitrary<Substance> = fc.record({
  filename: fc.constant('baseline'),
  format: fc.constant('tar' as const),
  raw_size: fc.nat(),
  contents: fc.record({
    entries: ROWS,
    bytes: fc.nat(),
    digest: fc.constant(''),
    changed: NO_REMARKS,
    incomplete: NO_REMARKS,
  }),
});
const ARCHIVE = fc.oneof(DUMP, TREE);

function kinds(...args: Parameters<typeof findAnomaly>): AnomalyKind[] {
  const anomaly = findAnomaly(...args);
  return anomaly === undefined ? [] : kindsOf(anomaly);
}

function tablesOf({ contents }: Substance): TableContents[] {
  return 'tables' in contents ? contents.tables : [];
}

function rowsOf(archive: Substance): number {
  return tablesOf(archive).reduce((sum, { rows }) => sum + rows, 0);
}

describe('of any two archives and thresholds', () => {
  test('an archive has no anomaly against itself', () => {
    fc.assert(
      fc.property(ARCHIVE, THRESHOLDS, (archive, thresholds) => {
        expect(findAnomaly(archive, archive, thresholds)).toBeUndefined();
      }),
    );
  });

  test('findings are bounded, have a text, and an anomaly has at least one', () => {
    fc.assert(
      fc.property(ARCHIVE, ARCHIVE, THRESHOLDS, (now, before, thresholds) => {
        const anomaly = findAnomaly(now, before, thresholds);
        if (anomaly === undefined) return;
        expect(anomaly.findings.length).toBeGreaterThan(0);
        for (const kind of ANOMALY_KINDS) {
          expect(anomaly.findings.filter((finding) => finding.kind === kind).length).toBeLessThanOrEqual(21);
        }
        expect(anomaly.findings.every(({ detail }) => /^[^\p{Cc}]+$/u.test(detail))).toBe(true);
      }),
    );
  });

  test('the order of the tables does not matter', () => {
    const shuffled = DUMP.chain((dump) =>
      fc.tuple(
        fc.constant(dump),
        fc
          .shuffledSubarray(tablesOf(dump), { minLength: tablesOf(dump).length })
          .map((tables): Substance => ({ ...dump, contents: { tables, schema_sha256: '' } })),
      ),
    );
    fc.assert(
      fc.property(shuffled, shuffled, THRESHOLDS, ([now, otherNow], [before, otherBefore], thresholds) => {
        expect(findAnomaly(otherNow, otherBefore, thresholds)).toEqual(findAnomaly(now, before, thresholds));
      }),
    );
  });

  test('larger shares never find more kinds', () => {
    fc.assert(
      fc.property(ARCHIVE, ARCHIVE, THRESHOLDS, THRESHOLDS, (now, before, one, other) => {
        const larger = {
          rowsDown: Math.max(one.rowsDown, other.rowsDown),
          sizeDown: Math.max(one.sizeDown, other.sizeDown),
        };
        expect(kinds(now, before, one)).toEqual(expect.arrayContaining(kinds(now, before, larger)));
      }),
    );
  });

  test('a table is gone if and only if the baseline has one that the new dump has not', () => {
    fc.assert(
      fc.property(DUMP, DUMP, THRESHOLDS, (now, before, thresholds) => {
        const has = tablesOf(before).some(
          ({ schema, name }) =>
            !tablesOf(now).some((table) => table.schema === schema && table.name === name),
        );
        expect(kinds(now, before, thresholds).includes('table_gone')).toBe(has);
      }),
    );
  });

  test('a dump is empty if and only if it lost its last row or its last table', () => {
    fc.assert(
      fc.property(DUMP, DUMP, THRESHOLDS, (now, before, thresholds) => {
        const noRow = rowsOf(now) === 0 && rowsOf(before) > 0;
        const noTable = tablesOf(now).length === 0 && tablesOf(before).length > 0;
        expect(kinds(now, before, thresholds).includes('empty')).toBe(noRow || noTable);
      }),
    );
  });

  test('a new dump with all tables, rows and bytes of the baseline has none', () => {
    fc.assert(
      fc.property(DUMP, DUMP, THRESHOLDS, fc.nat(), (before, more, thresholds, bytes) => {
        const grown = new Map(
          [...tablesOf(more), ...tablesOf(before)].map((table) => [`${table.schema}\0${table.name}`, table]),
        );
        const now: Substance = {
          ...before,
          raw_size: before.raw_size + bytes,
          contents: { tables: [...grown.values()], schema_sha256: '' },
        };
        expect(findAnomaly(now, before, thresholds)).toBeUndefined();
      }),
    );
  });
});
