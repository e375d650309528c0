import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { linkReach } from '../../../src/targets/files/link-reach.ts';
import { temporaryDirectory } from '../../support/temp-directory.ts';
import { archiveOf, examine } from './archive.ts';

test.each([
  ['file', '', 0, []],
  ['../file', 'a/b', 1, []],
  ['../../..', 'a/b', 3, []],
  ['./.././/x', 'a', 1, []],
  ['x/../y', 'a', 0, ['a/x']],
  ['x/../../y', 'a', 1, ['a/x', 'a']],
  ['../x/../..', 'a/b', 2, ['a/x', 'a']],
  ['/etc', 'a', Infinity, []],
])('%s in %j climbs %d', (target, directory, climb, left) => {
  expect(linkReach(target, directory)).toEqual({ climb, left });
});

test('whatever links an archive has, those that are not refused stay inside', async () => {
  const home = await temporaryDirectory();
  const part = fc.constantFrom('..', '..', 'a', 'b', 'l', 'm', '.');
  const target = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join('/'));
  const path = fc.constantFrom('l', 'm', 'a/l', 'a/m', 'a/b/l', 'a/b/m');
  let run = 0;
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(path, target), { selector: ([path]) => path }), (links) => {
      const archive = archiveOf(
        { path: 'a/b/', flag: '5' },
        ...links.map(([path, link]) => ({ path, flag: '2', link })),
      );
      const refused = new Set(examine(archive).refused.map(({ path }) => path));
      // If one is refused nothing is restored at all: only archives without one can do harm.
      fc.pre(refused.size === 0);
      run += 1;
      const outside = join(home, String(run));
      mkdirSync(join(outside, 'top/a/b'), { recursive: true });
      writeFileSync(join(outside, 'outside'), 'outside');
      for (const [path, link] of links) symlinkSync(link, join(outside, 'top', path));
      for (const [path] of links) {
        expect(() => readFileSync(join(outside, 'top', path, 'outside'))).toThrow();
        expect(namesBelow(join(outside, 'top', path))).not.toContain('outside');
      }
    }),
    { numRuns: 300, maxSkipsPerRun: 1_000 },
  );
});

function namesBelow(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
