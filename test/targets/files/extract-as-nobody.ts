/**
 * Extracts an archive without root's rights and prints what came of it. Run by the tests: archive, target, then
 * the options as JSON. With the archive `-`, bytes never end: one member after another, until it is killed.
 */
import { readFileSync, writeSync } from 'node:fs';
import { toBackupError } from '../../../src/domain/errors.ts';
import type { FilesContents } from '../../../src/domain/manifest.ts';
import { DirectoryTarget } from '../../../src/targets/files/directory-target.ts';
import { readTree } from '../../../src/targets/files/read-tree.ts';
import { archiveOf, OPTIONS, SIGNAL, streamOf } from './archive.ts';

const NOBODY = 65_534;
const [, , archive = '', target = '', options = '{}'] = process.argv;

async function* endless() {
  for (let n = 0; ; n += 1) {
    yield archiveOf({ path: `top/${n}`, data: 'data' }).subarray(0, -1_024);
    if (n === 1_000) writeSync(1, 'a thousand\n');
  }
}

const input = archive === '-' ? undefined : readFileSync(archive);
// Only now, with every module loaded: the checkout may lie where nobody else can read.
if (process.getuid?.() === 0) {
  process.setgroups?.([]);
  process.setgid?.(NOBODY);
  process.setuid?.(NOBODY);
}
let contents: FilesContents | undefined;
try {
  const stream = input === undefined ? endless() : streamOf(input, 65_536);
  const plan = await new DirectoryTarget(target).extract(
    stream,
    { ...OPTIONS, ...(JSON.parse(options) as object) },
    async (directory) => {
      contents = await readTree(directory, ['top'], SIGNAL);
      if (options.includes('"failing":true')) throw new Error(`${contents.entries} entries`);
    },
    SIGNAL,
  );
  process.stdout.write(JSON.stringify({ plan, contents }));
} catch (error) {
  process.stdout.write(JSON.stringify({ error: toBackupError(error) }));
}
