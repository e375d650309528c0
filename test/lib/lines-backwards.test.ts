import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { linesBackwards, type PlacedLine } from '../../src/lib/lines-backwards.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';

async function all(path: string, before?: number): Promise<PlacedLine[]> {
  const lines: PlacedLine[] = [];
  for await (const line of linesBackwards(path, before)) lines.push(line);
  return lines;
}

test('a file that is not there, or empty, has no line', async () => {
  const directory = await temporaryDirectory();
  expect(await all(join(directory, 'none'))).toEqual([]);
  await writeFile(join(directory, 'empty'), '');
  expect(await all(join(directory, 'empty'))).toEqual([]);
});

test('lines longer than what is read at once, of more than one byte a letter, come whole', async () => {
  const path = join(await temporaryDirectory(), 'lines');
  const lines = ['short', 'é'.repeat(100_000), '', 'x'.repeat(65_535), 'last'];
  await writeFile(path, `${lines.join('\n')}\n`);
  expect((await all(path)).map(({ line }) => line)).toEqual(lines.toReversed());
});

test('whatever the lines, they are those of the file, and reading goes on from any of them', async () => {
  const path = join(await temporaryDirectory(), 'lines');
  const line = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 30 })
    .map((text) => text.replaceAll('\n', '-'));
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 20 }),
      fc.boolean(),
      fc.nat(),
      async (lines, isEnded, at) => {
        await writeFile(path, lines.join('\n') + (isEnded && lines.length > 0 ? '\n' : ''));
        const found = await all(path);
        expect(found.map(({ line: text }) => text)).toEqual(lines.toReversed());
        const from = found[at % Math.max(1, found.length)];
        const rest = from === undefined ? [] : await all(path, from.offset);
        expect(rest).toEqual(from === undefined ? [] : found.slice(found.indexOf(from) + 1));
      },
    ),
    { numRuns: 60 },
  );
});
