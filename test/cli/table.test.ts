import { expect, test } from 'vitest';
import { formatTable } from '../../src/cli/table.ts';

test('columns are as wide as their widest cell, numbers to the right, no blanks at line ends', () => {
  const rows = [
    ['a', '1', 'x'],
    ['long name', '1000', ''],
  ];
  expect(formatTable(['NAME', 'SIZE', 'STATE'], rows, ['SIZE'])).toBe(
    ['NAME       SIZE  STATE', 'a             1  x', 'long name  1000'].join('\n'),
  );
});
