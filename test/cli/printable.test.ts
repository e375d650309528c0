import { expect, test } from 'vitest';
import { printable } from '../../src/cli/printable.ts';

test.each([
  ['ação/ x "y"', 'ação/ x "y"'],
  ['a\nb\t', 'a\\u000ab\\u0009'],
  ['\x1b[2J', '\\u001b[2J'],
  ['\u2028\u009b', '\\u2028\\u009b'],
])('a name goes to a terminal on one line and without what steers it: %j', (text, shown) => {
  expect(printable(text)).toBe(shown);
});
