import { describe, expect, it } from 'vitest';
import { parsePattern } from '../../../src/sources/postgres/pattern.ts';

describe('parsePattern', () => {
  it.each([
    ['orders', { name: '^(orders)$' }],
    ['Orders', { name: '^(orders)$' }],
    ['"Orders"', { name: '^(Orders)$' }],
    ['ord*', { name: '^(ord.*)$' }],
    ['ord??', { name: '^(ord..)$' }],
    ['shop.ord*', { schema: '^(shop)$', name: '^(ord.*)$' }],
    ['*.*', { schema: '^(.*)$', name: '^(.*)$' }],
    ['App.shop.t', { database: 'app', schema: '^(shop)$', name: '^(t)$' }],
    ['"My.db".s.t', { database: 'My.db', schema: '^(s)$', name: '^(t)$' }],
    ['"a.b"', { name: '^(a\\.b)$' }],
    ['"a*b"', { name: '^(a\\*b)$' }],
    ['"a""b"', { name: '^(a"b)$' }],
    ['FOO"BAR"baz', { name: '^(fooBARbaz)$' }],
    ['a|b', { name: '^(a|b)$' }],
    ['[0-9]x', { name: '^([0-9]x)$' }],
    ['int[]', { name: '^(int\\[])$' }],
    ['a$b', { name: '^(a\\$b)$' }],
    ['Ärger', { name: '^(Ärger)$' }],
  ])('translates %s', (pattern, parsed) => {
    expect(parsePattern(pattern)).toEqual(parsed);
  });

  it('refuses more than three parts', () => {
    expect(() => parsePattern('a.b.c.d')).toThrow(RangeError);
  });
});
