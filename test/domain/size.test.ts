import { expect, test } from 'vitest';
import { formatSize } from '../../src/domain/size.ts';

test.each([
  [0, '0 B'],
  [1_023, '1023 B'],
  [1_024, '1.00 KB'],
  [1_048_576, '1.00 MB'],
  [1_048_575, '1.00 MB'],
  [1_610_612_736, '1.50 GB'],
  [1024 ** 5, '1.00 PB'],
  [1024 ** 6, '1024.00 PB'],
])('%d bytes read %s', (bytes, text) => {
  expect(formatSize(bytes)).toBe(text);
});
