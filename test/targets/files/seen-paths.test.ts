import { expect, test } from 'vitest';
import { SeenPaths } from '../../../src/targets/files/seen-paths.ts';

test('each path has its own number, however many there are, and the latest one', () => {
  const seen = new SeenPaths();
  const COUNT = 50_000;
  for (let n = 1; n <= COUNT; n += 1) seen.set(`path/${n}`, n);
  for (let n = 1; n <= COUNT; n += 100) seen.set(`path/${n}`, 0xffff_ffff);
  const wrong: number[] = [];
  for (let n = 1; n <= COUNT; n += 1) {
    if (seen.get(`path/${n}`) !== (n % 100 === 1 ? 0xffff_ffff : n)) wrong.push(n);
  }
  expect(wrong).toEqual([]);
  expect(seen.get('path/0')).toBeUndefined();
  expect(seen.get('\xe9')).toBeUndefined();
});
