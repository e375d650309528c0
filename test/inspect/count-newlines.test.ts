import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { countNewlines } from '../../src/inspect/count-newlines.ts';

const FILLINGS = {
  'nothing but newlines': Buffer.alloc(5_000, '\n'),
  'the bytes beside a newline': Buffer.from(Array.from({ length: 5_000 }, (_, at) => 9 + (at % 3))),
  'a newline with its highest bit set': Buffer.alloc(5_000, 0x8a),
  'zeros and ones': Buffer.from(Array.from({ length: 5_000 }, (_, at) => (at % 2 === 0 ? 0 : 0xff))),
  'bytes of all values': randomBytes(5_000),
};

describe.each(Object.entries(FILLINGS))('of %s', (_, filling) => {
  test('as many as a look at each byte finds, wherever the bytes lie', () => {
    for (const bytes of [0, 1, 3, 4, 7, 8, 1_019, 1_020, 1_021, 1_024, 4_900]) {
      for (let from = 0; from < 5; from += 1) {
        const part = filling.subarray(from, from + bytes);
        expect(countNewlines(part)).toBe([...part].filter((byte) => byte === 0x0a).length);
      }
    }
  });
});
