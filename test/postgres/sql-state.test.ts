import { expect, test } from 'vitest';
import { sqlState } from '../../src/postgres/sql-state.ts';

test.each([
  ['42P04', '42P04'],
  ['XX000', 'XX000'],
  ['EPIPE', undefined],
  ['ECONNRESET', undefined],
  [7, undefined],
])('the code %j of an error says of the server: %j', (code, expected) => {
  expect(sqlState(Object.assign(new Error('no'), { code }))).toBe(expected);
});

test('what is no error has none', () => {
  expect([sqlState(undefined), sqlState(null)]).toEqual([undefined, undefined]);
});
