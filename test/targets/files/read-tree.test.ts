import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readTree } from '../../../src/targets/files/read-tree.ts';
import { digestOfDisk, fillWithEverything, listDisk } from '../../support/file-tree.ts';
import { temporaryDirectory } from '../../support/temp-directory.ts';
import { failureOf, SIGNAL } from './archive.ts';

test('reads the digest of docs/format.md from the disk, directory by directory as they are named', async () => {
  const home = await temporaryDirectory();
  for (const name of ['zweites', 'é']) fs.mkdirSync(join(home, name));
  fillWithEverything(join(home, 'zweites'));
  fs.writeFileSync(join(home, 'é/file'), 'data');
  const entries = [...listDisk(join(home, 'zweites'), 'zweites'), ...listDisk(join(home, 'é'), 'é')];
  const bytes = entries.filter(({ path, first }) => path === first).reduce((sum, { size }) => sum + size, 0);
  expect(await readTree(home, ['zweites', 'é'], SIGNAL)).toEqual({
    entries: entries.length,
    bytes,
    digest: digestOfDisk(entries),
    changed: [],
    incomplete: [],
  });
  const other = await readTree(home, ['é', 'zweites'], SIGNAL);
  expect(other.digest).not.toBe(digestOfDisk(entries));
});

test('any difference is another digest', async () => {
  const home = await temporaryDirectory();
  const at = (name: string) => join(home, 'top', name);
  fs.mkdirSync(at('dir'), { recursive: true });
  fs.writeFileSync(at('file'), 'data');
  fs.linkSync(at('file'), at('link'));
  fs.symlinkSync('file', at('symlink'));
  const digest = async () => {
    // Times are set, so that nothing but what is meant differs.
    for (const name of ['', 'dir', 'file']) fs.utimesSync(at(name), 1_000, 1_000);
    if (fs.existsSync(at('symlink'))) fs.lutimesSync(at('symlink'), 1_000, 1_000);
    return (await readTree(home, ['top'], SIGNAL)).digest;
  };
  const seen = new Set([await digest()]);
  const changes: (() => void)[] = [
    () => fs.writeFileSync(at('file'), 'date'),
    () => fs.chmodSync(at('file'), 0o600),
    () => fs.rmSync(at('link')),
    () => fs.writeFileSync(at('link'), 'date'),
    () => fs.rmSync(at('symlink')),
    () => fs.symlinkSync('link', at('symlink')),
    () => fs.mkdirSync(at('dir/empty')),
    () => fs.renameSync(at('dir/empty'), at('dir/other')),
    () => fs.chmodSync(at('dir'), 0o1777),
  ];
  for (const change of changes) {
    change();
    seen.add(await digest());
  }
  expect(seen.size).toBe(changes.length + 1);
  fs.utimesSync(at('file'), 1_000, 999.5);
  seen.add((await readTree(home, ['top'], SIGNAL)).digest);
  expect(seen.size).toBe(changes.length + 2);
});

test('stops when it is told to, and an error says what was read', async () => {
  const home = await temporaryDirectory();
  fs.mkdirSync(join(home, 'top'));
  for (let n = 0; n < 3_000; n += 1) fs.writeFileSync(join(home, 'top', String(n)), '');
  const controller = new AbortController();
  const reason = new Error('enough');
  setImmediate(() => controller.abort(reason));
  expect(await failureOf(readTree(home, ['top'], controller.signal))).toBe(reason);
  expect(await readTree(home, ['none'], SIGNAL)).toMatchObject({ entries: 0 });
});
