import { chmod, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Location } from '../../src/catalogue/location.ts';
import type { BackupError } from '../../src/domain/errors.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { isRoot } from '../support/file-tree.ts';
import { namesIn, temporaryDirectory } from '../support/temp-directory.ts';

const CREATE = { requireMount: false, create: true };
const LOOK = { requireMount: false, create: false };

describe('opening a location', () => {
  test('makes its directories, for their owner alone', async () => {
    const root = join(await temporaryDirectory(), 'a', 'b');
    const location = await Location.open(root, CREATE);
    expect(await namesIn(root)).toEqual(['.locks', 'database', 'files', 'manifests']);
    for (const name of ['', ...(await namesIn(root))]) {
      expect((await stat(join(root, name))).mode & 0o777).toBe(0o700);
    }
    await location.assertUsable();
    expect((await Location.open(root, LOOK)).root).toBe(root);
  });

  test('that is missing fails for a command that only looks, and makes nothing', async () => {
    const directory = await temporaryDirectory();
    const root = join(directory, 'missing');
    await expect(Location.open(root, LOOK)).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE', path: root });
    expect(await namesIn(directory)).toEqual([]);
  });

  test('where nothing is mounted although it must be writes nothing beneath', async () => {
    const root = await temporaryDirectory();
    const opening = Location.open(root, { requireMount: true, create: true });
    await expect(opening).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE' });
    expect(await namesIn(root)).toEqual([]);
    const missing = Location.open(join(root, 'x'), { requireMount: true, create: true });
    await expect(missing).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE' });
    expect(await namesIn(root)).toEqual([]);
  });

  test('at a file, or below one, is LOCATION_UNUSABLE', async () => {
    const file = join(await temporaryDirectory(), 'file');
    await writeFile(file, '');
    for (const root of [file, join(file, 'below')]) {
      await expect(Location.open(root, CREATE)).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE' });
    }
  });

  test('that was removed or made read-only since is noticed', async () => {
    const root = join(await temporaryDirectory(), 'location');
    const location = await Location.open(root, CREATE);
    await chmod(join(root, 'manifests'), 0o500);
    const code = await location.assertUsable().then(
      () => 'usable',
      (error: unknown) => (error as BackupError).code,
    );
    // Root writes wherever it likes.
    expect(code).toBe(isRoot ? 'usable' : 'LOCATION_UNUSABLE');
    await rm(root, { recursive: true });
    await expect(location.assertUsable()).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE' });
    await mkdir(root);
    await expect(location.assertUsable()).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE' });
  });
});

test('a lock of a name has one holder, those of other names are independent', async () => {
  const root = await temporaryDirectory();
  const location = await Location.open(root, CREATE);
  await using first = await location.lock('run.app', NO_ABORT, 0);
  expect(first.path).toBe(join(root, '.locks', 'run.app'));
  await expect(location.lock('run.app', NO_ABORT, 0)).rejects.toMatchObject({ code: 'LOCK_BUSY' });
  await using second = await location.lock('run.other', NO_ABORT, 0);
  expect(second.lost.aborted).toBe(false);
});

test('sweeping takes the temporary files of atomic writes and nothing else', async () => {
  const root = await temporaryDirectory();
  const location = await Location.open(root, CREATE);
  const kept = ['journal.jsonl', '.hidden', 'x.tmp', join('manifests', 'a.json'), join('database', '.b.tmp')];
  const swept = ['.backups_metadata.json.12.tmp', join('manifests', '.a.json.34.tmp')];
  for (const name of [...kept, ...swept]) await writeFile(join(root, name), '');
  await location.sweepTemporaries();
  for (const name of kept) expect((await stat(join(root, name))).size).toBe(0);
  for (const name of swept) await expect(stat(join(root, name))).rejects.toThrow('ENOENT');
});
