import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { unpackDirectory } from '../../../src/targets/postgres/unpack-directory.ts';
import { directoryTar, type Member } from '../../support/directory-tar.ts';
import { NO_ABORT } from '../../support/fakes.ts';
import { namesIn, temporaryDirectory } from '../../support/temp-directory.ts';

const TOP = { path: 'app.dir/', flag: '5' };
const TOC = { path: 'app.dir/toc.dat', data: 'toc' };

async function* chunksOf(members: readonly Member[], chunkBytes = 700): AsyncGenerator<Buffer> {
  const bytes = directoryTar(members);
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

test('unpacks private files with their data', async () => {
  const directory = await temporaryDirectory();
  const data = 'row\n'.repeat(1_000);
  const raw = chunksOf([TOP, TOC, { path: 'app.dir/7.dat', data }, { path: 'app.dir/8.dat' }]);
  const path = await unpackDirectory(raw, 10_000, directory, NO_ABORT);
  expect(await namesIn(path)).toEqual(['7.dat', '8.dat', 'toc.dat']);
  expect(await readFile(join(path, '7.dat'), 'utf8')).toBe(data);
  expect((await stat(join(path, '8.dat'))).size).toBe(0);
  expect((await stat(path)).mode & 0o777).toBe(0o700);
  expect((await stat(join(path, 'toc.dat'))).mode & 0o777).toBe(0o600);
});

test('refuses a file that is there twice, and one with another place', async () => {
  const seven = { path: 'app.dir/7.dat', data: 'x' };
  for (const members of [
    [TOP, TOC, seven, seven],
    [TOP, TOC, { path: '../7.dat' }],
  ]) {
    const unpacking = unpackDirectory(chunksOf(members), 10_000, await temporaryDirectory(), NO_ABORT);
    await expect(unpacking).rejects.toMatchObject({ code: 'ARCHIVE_UNSAFE' });
  }
});

test('writes nothing without room for all, and throws what the archive throws', async () => {
  const directory = await temporaryDirectory();
  const huge = unpackDirectory(chunksOf([TOP, TOC]), Number.MAX_SAFE_INTEGER, directory, NO_ABORT);
  await expect(huge).rejects.toMatchObject({ code: 'SPACE_LOW' });
  expect(await namesIn(directory)).toEqual([]);
  const fault = new Error('the disk is gone');
  async function* failing(): AsyncGenerator<Buffer> {
    yield directoryTar([TOP, TOC]).subarray(0, 1_000);
    throw fault;
  }
  await expect(unpackDirectory(failing(), 10_000, directory, NO_ABORT)).rejects.toBe(fault);
});
