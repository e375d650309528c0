import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { renameDurably, syncDirectory, TEMPORARY_NAME, writeAtomically } from '../../src/lib/atomic-file.ts';
import { isRoot } from '../support/file-tree.ts';
import { isLink, plantLink } from '../support/planted-link.ts';
import { namesIn, temporaryDirectory } from '../support/temp-directory.ts';

const MODULE = join(import.meta.dirname, '../../src/lib/atomic-file.ts');

test('a file is made, and replaced, with mode 0600 and nothing beside it', async () => {
  const directory = await temporaryDirectory();
  const path = join(directory, 'x.json');
  await writeFile(path, 'old', { mode: 0o644 });
  await writeAtomically(path, 'new', undefined);
  expect(await readFile(path, 'utf8')).toBe('new');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await namesIn(directory)).toEqual(['x.json']);
});

test('a write that fails leaves the old content and no temporary file', async () => {
  const directory = await temporaryDirectory();
  // A directory cannot be replaced by a file.
  const path = join(directory, 'taken');
  await mkdir(path);
  await expect(writeAtomically(path, 'new', undefined)).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
  expect(await namesIn(directory)).toEqual(['taken']);
});

test('links planted at the file or at its temporary name are replaced, and what they lead to is left as it is', async () => {
  const directory = await temporaryDirectory();
  const path = join(directory, 'x.json');
  const owner = isRoot ? { uid: 12_345, gid: 12_346 } : undefined;
  for (const name of ['x.json', `.x.json.${process.pid}.tmp`]) {
    const victim = await plantLink(join(directory, name));
    const before = await victim.state();
    await writeAtomically(path, 'new', owner);
    expect(await victim.state()).toEqual(before);
    expect(await isLink(path)).toBe(false);
    expect(await readFile(path, 'utf8')).toBe('new');
    expect(await namesIn(directory)).toEqual(['x.json']);
  }
});

test('a temporary file that a crash left is no obstacle', async () => {
  const directory = await temporaryDirectory();
  await writeFile(join(directory, `.x.json.${process.pid}.tmp`), 'a longer, torn content');
  await writeAtomically(join(directory, 'x.json'), 'new', undefined);
  expect(await readFile(join(directory, 'x.json'), 'utf8')).toBe('new');
  expect(await namesIn(directory)).toEqual(['x.json']);
});

test('a reader sees the old content or the new whole, also when the writer is killed', async () => {
  const directory = await temporaryDirectory();
  const path = join(directory, 'index.json');
  const code = `
    const { writeAtomically } = await import(${JSON.stringify(MODULE)});
    for (let round = 0; ; round += 1) {
      await writeAtomically(${JSON.stringify(path)}, String(round % 10).repeat(400_000), undefined);
      if (round === 0) console.log('writing');
    }`;
  for (let round = 0; round < 3; round += 1) {
    const writer = spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(writer.stdout, 'data');
    for (let look = 0; look < 30; look += 1) {
      const text = await readFile(path, 'utf8');
      expect(text === text.charAt(0).repeat(400_000)).toBe(true);
    }
    writer.kill('SIGKILL');
    await once(writer, 'close');
    const text = await readFile(path, 'utf8');
    expect(text === text.charAt(0).repeat(400_000)).toBe(true);
  }
  // What a kill may leave is known by its name, and swept by that.
  const leftovers = (await namesIn(directory)).filter((name) => name !== 'index.json');
  expect(leftovers.every((name) => TEMPORARY_NAME.test(name))).toBe(true);
});

test.each(['index.json', 'db_backup_app_20261120_120015.sql.gz.json', '.hidden', 'x.tmp'])(
  'no file of ours looks like a temporary one: %s',
  (name) => {
    expect(TEMPORARY_NAME.test(name)).toBe(false);
    expect(TEMPORARY_NAME.test(`.${name}.123.tmp`)).toBe(true);
  },
);

test('renaming and syncing work on a real directory and fail on a missing one', async () => {
  const directory = await temporaryDirectory();
  await writeFile(join(directory, 'a'), 'x');
  await renameDurably(join(directory, 'a'), join(directory, 'b'));
  expect(await namesIn(directory)).toEqual(['b']);
  await syncDirectory(directory);
  await expect(syncDirectory(join(directory, 'missing'))).rejects.toThrow('ENOENT');
});
