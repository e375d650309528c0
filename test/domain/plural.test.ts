import { expect, test } from 'vitest';
import { describeSome, plural } from '../../src/domain/plural.ts';

test('counts with the noun in its form', () => {
  expect([plural(0, 'table'), plural(1, 'table'), plural(2, 'table')]).toEqual([
    '0 tables',
    '1 table',
    '2 tables',
  ]);
  expect([plural(1, 'entry'), plural(3, 'entry')]).toEqual(['1 entry', '3 entries']);
});

test('a list names the first twenty and counts the rest, also of what is not in it', () => {
  const items = Array.from({ length: 21 }, (_, n) => `i${n}`);
  expect(describeSome(['a', 'b'])).toBe('a; b');
  expect(describeSome(items)).toMatch(/^i0; i1; .*; i19; and 1 more$/);
  expect(describeSome(items, 1_000)).toMatch(/; i19; and 980 more$/);
});
