import type * as promises from 'node:fs/promises';
import { chmod, constants, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { Location } from '../../src/catalogue/location.ts';
import type { BackupError } from '../../src/domain/errors.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { isRoot } from '../support/file-tree.ts';
import { namesIn, temporaryDirectory } from '../support/temp-directory.ts';
import { openTestLocation } from '../support/test-location.ts';

/** What a read-only mount answers, which not every machine lets a test make. */
const fault = vi.hoisted(() => ({ readOnly: false }));
vi.mock('node:fs/promises', async (importOriginal) => {
  const real = await importOriginal<typeof promises>();
  const access: typeof real.access = async (path, mode = constants.F_OK) => {
    if (!fault.readOnly || (mode & constants.W_OK) === 0) return await real.access(path, mode);
    throw Object.assign(new Error(`EROFS: read-only file system, access '${String(path)}'`), {
      code: 'EROFS',
    });
  };
  return { ...real, access };
});

const CREATE = { requireMount: false, create: true, write: true };
const LOOK = { requireMount: false, create: false, write: false };
const MOUNT = { requireMount: true, create: true, write: true };

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
    const opening = Location.open(root, MOUNT);
    await expect(opening).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE' });
    expect(await namesIn(root)).toEqual([]);
    const missing = Location.open(join(root, 'x'), MOUNT);
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

  test('to look at it makes nothing, and needs no more than its manifests', async () => {
    const root = await temporaryDirectory();
    await expect(Location.open(root, LOOK)).rejects.toMatchObject({
      code: 'LOCATION_UNUSABLE',
      message: expect.stringContaining('no directory of manifests'),
    });
    await mkdir(join(root, 'manifests'));
    expect((await Location.open(root, LOOK)).root).toBe(root);
    expect(await namesIn(root)).toEqual(['manifests']);
  });

  test('as a copy without its locks makes a place for them once one is taken', async () => {
    const root = await temporaryDirectory();
    await mkdir(join(root, 'manifests'));
    const location = await Location.open(root, LOOK);
    {
      await using _lock = await location.lock('catalogue', NO_ABORT);
      await using _shared = await location.lockShared('job.@drill', NO_ABORT);
    }
    expect((await stat(join(root, '.locks'))).mode & 0o777).toBe(0o700);
    for (const name of ['.locks', 'manifests']) await rm(join(root, name), { recursive: true });
    await expect(location.lock('catalogue', NO_ABORT)).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE' });
    expect(await namesIn(root)).toEqual([]);
  });

  test('on a file system that is mounted read-only says so to whoever wants to write', async () => {
    const root = await temporaryDirectory();
    await Location.open(root, CREATE);
    fault.readOnly = true;
    try {
      await expect(Location.open(root, CREATE)).rejects.toMatchObject({
        code: 'LOCATION_UNUSABLE',
        hint: expect.stringContaining('mounted read-only'),
      });
      expect((await Location.open(root, LOOK)).root).toBe(root);
    } finally {
      fault.readOnly = false;
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

test('a location that goes away while it is used is told as such, not as a file that is missing', async () => {
  const { context, root } = await openTestLocation();
  await rm(join(root, 'manifests'), { recursive: true });
  expect(() => context.catalogue.list()).toThrow(
    expect.objectContaining({ code: 'LOCATION_UNUSABLE', path: root }) as Error,
  );
});
