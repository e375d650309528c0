import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { displayName, rawName, systemPath } from '../../../src/sources/files/raw-name.ts';

test('text becomes its UTF-8 bytes, and bytes go to the system as they are', () => {
  expect(rawName('ação')).toBe('a\xc3\xa7\xc3\xa3o');
  expect(systemPath('a\xff')).toEqual(Buffer.from([0x61, 0xff]));
  expect(systemPath('/plain')).toBe('/plain');
});

test.each([
  ['plain', 'plain'],
  ['a\xc3\xa7b', 'açb'],
  ['a\xffb', 'a\\xffb'],
  ['\xe2\x82\xac\xe2\x82', '€\\xe2\\x82'],
  ['\xf0\x9f\x92\xbe\x80', '💾\\x80'],
  ['a\xc3', 'a\\xc3'],
])('%j is shown as %j', (raw, shown) => {
  expect(displayName(raw)).toBe(shown);
});

test('any bytes are shown without a replacement character', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      const shown = displayName(Buffer.from(bytes).toString('latin1'));
      const back = Buffer.concat(
        shown
          .split(/(\\x[89a-f][0-9a-f])/)
          .map((part, index) => (index % 2 === 1 ? Buffer.from(part.slice(2), 'hex') : Buffer.from(part))),
      );
      // Reversible unless the name itself holds such a sequence.
      fc.pre(!/\\x[89a-f][0-9a-f]/.test(Buffer.from(bytes).toString('latin1')));
      expect(back).toEqual(Buffer.from(bytes));
    }),
  );
});
