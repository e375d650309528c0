import { expect, test } from 'vitest';
import { copyColumns, parseCopyHeader } from '../../../src/formats/dump/copy-header.ts';

test.each([
  [
    'COPY public.t (a, "B c", "d,e) FROM stdin;", "f""g", ключ) FROM stdin;\n',
    ['a', 'B c', 'd,e) FROM stdin;', 'f"g', 'ключ'],
  ],
  ['COPY public."t (x)" (a) FROM stdin;\n', ['a']],
  ['COPY public."t (x)"  FROM stdin;\n', []],
  ['COPY public.none  FROM stdin;\n', []],
  ['COPY "two\nlines" ("x\ny") FROM stdin;\n', ['x\ny']],
])('the columns of %j', (header, columns) => {
  expect(parseCopyHeader(Buffer.from(header))).toBeDefined();
  expect(copyColumns(Buffer.from(header))).toEqual(columns);
});
