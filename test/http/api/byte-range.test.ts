import { expect, test } from 'vitest';
import { isKnown, requestedRange } from '../../../src/http/api/byte-range.ts';

const ETAG = '"abc"';

test.each([
  ['bytes=0-', { first: 0, last: 9 }],
  ['bytes=0-0', { first: 0, last: 0 }],
  ['bytes=3-5', { first: 3, last: 5 }],
  ['bytes=3-99', { first: 3, last: 9 }],
  ['bytes=-4', { first: 6, last: 9 }],
  ['bytes=-99', { first: 0, last: 9 }],
  ['bytes=9-', { first: 9, last: 9 }],
  ['bytes=10-', 'none'],
  ['bytes=-0', 'none'],
  // No ranges, or more than one: RFC 9110 lets a server pass over them.
  ['bytes=5-3', 'all'],
  ['bytes=-', 'all'],
  ['bytes=0-1,3-4', 'all'],
  ['lines=0-1', 'all'],
  ['bytes=a-b', 'all'],
  [undefined, 'all'],
])('of ten bytes %s is %j', (range, expected) => {
  expect(requestedRange(range === undefined ? {} : { range }, ETAG, 10)).toEqual(expected);
});

test('If-Range with another ETag, or a date, gets all of it', () => {
  const range = 'bytes=3-5';
  expect(requestedRange({ range, 'if-range': ETAG }, ETAG, 10)).toEqual({ first: 3, last: 5 });
  expect(requestedRange({ range, 'if-range': '"other"' }, ETAG, 10)).toBe('all');
  expect(requestedRange({ range, 'if-range': `W/${ETAG}` }, ETAG, 10)).toBe('all');
  expect(requestedRange({ range, 'if-range': 'Fri, 27 Nov 2026 02:00:00 GMT' }, ETAG, 10)).toBe('all');
});

test('an empty object has no range', () => {
  expect(requestedRange({ range: 'bytes=0-' }, ETAG, 0)).toBe('none');
  expect(requestedRange({ range: 'bytes=-5' }, ETAG, 0)).toBe('none');
});

test.each([
  [ETAG, true],
  [`W/${ETAG}`, true],
  [`"x", ${ETAG}`, true],
  ['*', true],
  ['"x"', false],
  ['', false],
])('If-None-Match: %s knows it: %s', (known, expected) => {
  expect(isKnown({ 'if-none-match': known }, ETAG)).toBe(expected);
});
