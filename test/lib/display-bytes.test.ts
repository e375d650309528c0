import { expect, test } from 'vitest';
import { displayBytes } from '../../src/lib/display-bytes.ts';

test.each([
  ['plain', 'plain'],
  ['ação 日本語 🙂', 'ação 日本語 🙂'],
  [Buffer.from([0x66, 0xff, 0xfe]), 'f\\xff\\xfe'],
  [Buffer.concat([Buffer.from('é🙂'), Buffer.from([0xe9]), Buffer.from('ü')]), 'é🙂\\xe9ü'],
  [Buffer.from([0xf0, 0x9f, 0x99]), '\\xf0\\x9f\\x99'],
  ['', ''],
])('shows %o', (bytes, shown) => {
  expect(displayBytes(Buffer.from(bytes))).toBe(shown);
});
