import { expect, test } from 'vitest';
import { printable } from '../../src/domain/printable.ts';

test.each([
  ['ação/ x "y"', 'ação/ x "y"'],
  ['a\nb\t', 'a\\u{a}b\\u{9}'],
  ['\x1b[2J', '\\u{1b}[2J'],
  ['\u2028\u009b', '\\u{2028}\\u{9b}'],
  ['\u202ex', '\\u{202e}x'],
])('a name goes to a terminal on one line and without what steers it: %j', (text, shown) => {
  expect(printable(text)).toBe(shown);
});
