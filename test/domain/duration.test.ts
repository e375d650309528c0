import { expect, test } from 'vitest';
import { formatDuration, parseDuration } from '../../src/domain/duration.ts';

test.each([
  ['0s', 0],
  ['250ms', 250],
  ['90s', 90_000],
  ['5m', 300_000],
  ['6h', 21_600_000],
  ['2d', 172_800_000],
])('%s is %i ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(['', '5', 's', '-5s', '1.5h', '5 m', '5M', '1h30m', '5s\n', '1234567890s'])(
  '%j is no duration',
  (text) => {
    expect(parseDuration(text)).toBeUndefined();
  },
);

test.each([
  [0, '0 ms'],
  [999, '999 ms'],
  [999.7, '1.0 s'],
  [1_400, '1.4 s'],
  [59_949, '59.9 s'],
  [59_999, '1 min 0 s'],
  [200_000, '3 min 20 s'],
  [3_599_999, '1 h 0 min'],
  [7_500_000, '2 h 5 min'],
  [48 * 3_600_000, '2 d 0 h'],
])('%d ms reads %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});
