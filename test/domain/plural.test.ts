import { expect, test } from 'vitest';
import { plural } from '../../src/domain/plural.ts';

test('counts with the noun in its form', () => {
  expect([plural(0, 'table'), plural(1, 'table'), plural(2, 'table')]).toEqual([
    '0 tables',
    '1 table',
    '2 tables',
  ]);
  expect([plural(1, 'entry'), plural(3, 'entry')]).toEqual(['1 entry', '3 entries']);
});
