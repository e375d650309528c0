import { describe, expect, test } from 'vitest';
import { diffDatabases } from '../../src/domain/diff.ts';
import type { DatabaseContents, TableContents } from '../../src/domain/manifest.ts';

function table(name: string, rows: number, facts: Partial<TableContents> = {}): TableContents {
  return { schema: 'public', name, rows, bytes: rows * 10, sha256: `${name}-${rows}`, ...facts };
}

function dump(tables: TableContents[], schema_sha256 = 's'): DatabaseContents {
  return { tables, schema_sha256 };
}

describe('two dumps', () => {
  test('are compared table by table, whatever the order', () => {
    const before = dump([
      table('a', 1),
      table('gone', 5),
      table('more', 2),
      table('less', 3),
      table('other', 4),
    ]);
    const after = dump([
      table('other', 4, { sha256: 'else', bytes: 41 }),
      table('less', 0),
      table('more', 3),
      table('new', 7),
      table('a', 1),
    ]);
    const named = (name: string, rows: unknown[], bytes: unknown[]) => ({
      schema: 'public',
      name,
      rows,
      bytes,
    });
    expect(diffDatabases(before, after)).toEqual({
      identical: false,
      tables: {
        added: [named('new', [null, 7], [null, 70])],
        gone: [named('gone', [5, null], [50, null])],
        grown: [named('more', [2, 3], [20, 30])],
        shrunk: [named('less', [3, 0], [30, 0])],
        changed: [named('other', [4, 4], [40, 41])],
      },
      unchanged: 1,
      schema_changed: false,
    });
  });

  test('with the same rows and the same schema are identical, and with another schema are not', () => {
    const tables = [table('a', 1), table('b', 2)];
    expect(diffDatabases(dump(tables), dump(tables.toReversed()))).toMatchObject({
      identical: true,
      unchanged: 2,
      schema_changed: false,
    });
    expect(diffDatabases(dump(tables), dump(tables, 'other'))).toMatchObject({
      identical: false,
      unchanged: 2,
      schema_changed: true,
    });
  });

  test('tell tables of one name in two schemas apart, also where a dot would not', () => {
    const one = dump([table('c', 1, { schema: 'a.b' }), table('x', 1)]);
    const other = dump([table('b.c', 1, { schema: 'a' }), table('x', 1, { schema: 'other' })]);
    const { added, gone } = diffDatabases(one, other).tables;
    expect(added.map(({ schema, name }) => [schema, name])).toEqual([
      ['a', 'b.c'],
      ['other', 'x'],
    ]);
    expect(gone.map(({ schema, name }) => [schema, name])).toEqual([
      ['a.b', 'c'],
      ['public', 'x'],
    ]);
  });

  test('may hold the rows of a table in several blocks', () => {
    const one = dump([table('a', 1), table('a', 2)]);
    expect(diffDatabases(one, one)).toMatchObject({ identical: true, unchanged: 1 });
    const other = dump([table('a', 1), table('a', 2, { sha256: 'else' })]);
    expect(diffDatabases(one, other).tables.changed).toEqual([
      { schema: 'public', name: 'a', rows: [3, 3], bytes: [30, 30] },
    ]);
  });
});
