import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { linesForwards } from '../../src/lib/lines-forwards.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';

async function read(path: string, from = 0) {
  const lines = [];
  for await (const line of linesForwards(path, from)) lines.push(line);
  return lines;
}

test('lines with where the next begins, from a place that was told before', async () => {
  const path = join(await temporaryDirectory(), 'lines');
  await writeFile(path, 'one\nzwölf\n\nfour\n');
  const all = await read(path);
  expect(all).toEqual([
    { line: 'one', end: 4 },
    { line: 'zwölf', end: 11 },
    { line: '', end: 12 },
    { line: 'four', end: 17 },
  ]);
  for (const [index, { end }] of all.entries()) expect(await read(path, end)).toEqual(all.slice(index + 1));
});

test('a last line without its end is still growing', async () => {
  const path = join(await temporaryDirectory(), 'lines');
  await writeFile(path, 'one\ntw');
  expect(await read(path)).toEqual([{ line: 'one', end: 4 }]);
  await appendFile(path, 'o\n');
  expect(await read(path, 4)).toEqual([{ line: 'two', end: 8 }]);
});

test('lines longer than what is read at once, and what lies behind the end', async () => {
  const path = join(await temporaryDirectory(), 'lines');
  const long = 'ü'.repeat(100_000);
  await writeFile(path, `${long}\nshort\n`);
  expect(await read(path)).toEqual([
    { line: long, end: 200_001 },
    { line: 'short', end: 200_007 },
  ]);
  expect(await read(path, 1_000_000)).toEqual([]);
});

test('a file that is not there has none', async () => {
  expect(await read(join(await temporaryDirectory(), 'missing'))).toEqual([]);
});
