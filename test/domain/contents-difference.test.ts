import { describe, expect, test } from 'vitest';
import { describeContentsDifference } from '../../src/domain/contents-difference.ts';
import type { DatabaseContents, TableContents } from '../../src/domain/manifest.ts';

function table(name: string, rest: Partial<TableContents> = {}): TableContents {
  return { schema: 'public', name, rows: 2, bytes: 20, sha256: 'same', ...rest };
}

function dump(tables: TableContents[], schema_sha256 = 'schema'): DatabaseContents {
  return { tables, schema_sha256 };
}

describe('of a dump', () => {
  const A = table('a');
  const B = table('b');

  test.each([
    [
      'rows that are fewer',
      [table('a', { rows: 1 }), B],
      'table public.a: 2 rows recorded, 1 in the archive',
    ],
    [
      'rows of another length',
      [table('a', { bytes: 21, sha256: 'x' }), B],
      'table public.a: 2 rows as recorded, but with 21 instead of 20 bytes',
    ],
    [
      'rows with other bytes',
      [A, table('b', { sha256: 'x' })],
      'table public.b: 2 rows as recorded, but not the same data',
    ],
    ['a table that is gone', [A], 'table public.b: 2 rows recorded, and no such table in the archive'],
    [
      'a table that is new',
      [A, table('c'), B],
      'table public.c: 2 rows in the archive, none recorded of such a table',
    ],
    ['another order', [B, A], 'the tables stand in another order than was recorded'],
    [
      'a second block of a table',
      [A, B, table('a', { rows: 1 })],
      'table public.a: 1 row in the archive, none recorded of such a table',
    ],
  ])('%s', (_what, tables, words) => {
    expect(describeContentsDifference(dump([A, B]), dump(tables))).toBe(words);
  });

  test('that is the same is none', () => {
    expect(describeContentsDifference(dump([A, B, A]), dump([A, B, A]))).toBeUndefined();
  });

  test('names the tables, and says that something else differs as well', () => {
    const words = describeContentsDifference(dump([A]), dump([table('a', { rows: 3 })], 'other'));
    expect(words).toMatch(/^table public\.a: 2 rows recorded, 3 in the archive; beside the rows of tables/);
    expect(words).toContain('`cofre diff`');
  });
});
