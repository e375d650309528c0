import { expect, test } from 'vitest';
import { suggest } from '../../src/config/suggest.ts';

const KEYS = ['schedule', 'timezone', 'sources', 'retries', 'as', 'http'];

test.each([
  ['schedul', 'schedule'],
  ['shcedule', 'schedule'],
  ['Schedule', 'schedule'],
  ['time_zone', 'timezone'],
  ['source', 'sources'],
  ['sa', 'as'],
  ['htpp', 'http'],
  ['encryption', undefined],
  ['url', undefined],
  ['x'.repeat(100_000), undefined],
])('%s → %s', (word, meant) => {
  expect(suggest(word, KEYS)).toBe(meant);
});
