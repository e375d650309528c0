import { existsSync, statSync, utimesSync } from 'node:fs';
import {
  lstat,
  mkdtemp,
  readFile,
  rename,
  rm,
  rmdir,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { describe, expect, test, vi } from 'vitest';
import { Additions } from '../../src/catalogue/additions.ts';
import { IndexFile } from '../../src/catalogue/index-file.ts';
import { formatIndex } from '../../src/catalogue/index-text.ts';
import type { Manifest, ManifestSummary } from '../../src/domain/manifest.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { addBackup, daily } from '../support/stock.ts';
import { openTestLocation, type TestLocation } from '../support/test-location.ts';

async function published({ location }: TestLocation): Promise<unknown> {
  return JSON.parse(await readFile(location.index, 'utf8'));
}

function withoutContents(manifest: Manifest): ManifestSummary {
  const { contents: _, ...summary } = manifest;
  return summary;
}

function indexOf({ location, context }: TestLocation): IndexFile {
  return new IndexFile(location, context.catalogue);
}

test('the index is every manifest without its contents, oldest first', async () => {
  const bed = await openTestLocation();
  const index = indexOf(bed);
  await index.publish(NO_ABORT);
  expect(await published(bed)).toEqual([]);
  const manifests = [await addBackup(bed, daily(2)), await addBackup(bed, daily(1, 'other'))];
  await index.publish(NO_ABORT);
  expect(await published(bed)).toEqual(manifests.toReversed().map(withoutContents));
  expect((await stat(bed.location.index)).mode & 0o777).toBe(0o600);
});

test('is written again when the catalogue has changed, by whichever process notices, and only then', async () => {
  const bed = await openTestLocation();
  const other = await openTestLocation({ root: bed.root });
  const index = indexOf(bed);
  await index.publish(NO_ABORT);
  const { ino } = await stat(bed.location.index);
  await index.publish(NO_ABORT);
  expect((await stat(bed.location.index)).ino).toBe(ino);
  await addBackup(other, daily(1));
  await index.publish(NO_ABORT);
  expect(await published(bed)).toHaveLength(1);
  await other.context.catalogue.update(daily(1), (manifest) => ({ ...manifest, pinned: true }), NO_ABORT);
  await index.publish(NO_ABORT);
  expect(await published(bed)).toMatchObject([{ pinned: true }]);
});

test('a damaged index is put right by the next process', async () => {
  const bed = await openTestLocation();
  await addBackup(bed, daily(1));
  await writeFile(bed.location.index, '[{"torn');
  await indexOf(bed).publish(NO_ABORT);
  expect(await published(bed)).toMatchObject([{ filename: daily(1) }]);
});

describe('a process that has only added', () => {
  /** As a command does it: a catalogue of its own, and one index. */
  async function another(bed: TestLocation) {
    const command = await openTestLocation({ root: bed.root });
    return { command, index: indexOf(command) };
  }

  test('extends the index without a look at other manifests, to what a whole one would be', async () => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(3));
    await indexOf(bed).publish(NO_ABORT);
    const { command, index } = await another(bed);
    await addBackup(command, daily(4));
    await addBackup(command, daily(5, 'other'));
    const lists = vi.spyOn(command.context.catalogue, 'list');
    const generations = vi.spyOn(command.context.catalogue, 'generation');
    await index.publish(NO_ABORT);
    expect(lists).not.toHaveBeenCalled();
    expect(generations).not.toHaveBeenCalled();
    const extended = await readFile(bed.location.index, 'utf8');
    const whole = await openTestLocation({ root: bed.root });
    expect(extended).toBe(formatIndex(whole.context.catalogue.list()));
    expect((await stat(bed.location.index)).mode & 0o777).toBe(0o600);
  });

  test('extends it again, and what it extended counts as published for others', async () => {
    const bed = await openTestLocation();
    const daemon = indexOf(bed);
    await addBackup(bed, daily(2));
    await daemon.publish(NO_ABORT);
    const { command, index } = await another(bed);
    for (const name of [daily(3), daily(4), daily(5)]) {
      await addBackup(command, name);
      await index.publish(NO_ABORT);
    }
    expect(await published(bed)).toHaveLength(4);
    const { ino } = await stat(bed.location.index);
    await daemon.publish(NO_ABORT);
    expect((await stat(bed.location.index)).ino).toBe(ino);
  });

  test.each<[string, (bed: TestLocation) => Promise<unknown>]>([
    ['when another process added before and did not publish', (bed) => addBackup(bed, daily(2))],
    [
      'when another process changed a manifest and did not publish',
      (bed) =>
        bed.context.catalogue.update(daily(1), (manifest) => ({ ...manifest, pinned: true }), NO_ABORT),
    ],
    ['when the index is damaged', (bed) => writeFile(bed.location.index, '[{"torn')],
    ['when the index is gone', (bed) => rm(bed.location.index)],
    [
      'when a link lies in the place of the index',
      async (bed) => {
        await rename(bed.location.index, `${bed.location.index}.else`);
        await symlink(`${bed.location.index}.else`, bed.location.index);
      },
    ],
  ])('writes the whole index %s', async (_when, disturb) => {
    for (const isBefore of [true, false]) {
      const bed = await openTestLocation();
      await addBackup(bed, daily(1));
      await indexOf(bed).publish(NO_ABORT);
      const { command, index } = await another(bed);
      if (isBefore) await disturb(bed);
      await addBackup(command, daily(5));
      if (!isBefore) await disturb(bed);
      await index.publish(NO_ABORT);
      const whole = await openTestLocation({ root: bed.root });
      expect(await readFile(bed.location.index, 'utf8')).toBe(formatIndex(whole.context.catalogue.list()));
      expect((await lstat(bed.location.index)).isFile()).toBe(true);
    }
  });

  const pin = (manifest: Manifest) => ({ ...manifest, pinned: true });

  test.each<[string, (command: TestLocation) => Promise<unknown>]>([
    ['changes', ({ context }) => context.catalogue.update(daily(1), pin, NO_ABORT)],
    ['removes', ({ context }) => context.catalogue.remove(daily(1), () => undefined, NO_ABORT)],
  ])('and then %s something, however fast, writes the whole index', async (_what, change) => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(1));
    await indexOf(bed).publish(NO_ABORT);
    const { command, index } = await another(bed);
    await addBackup(command, daily(5));
    const changed_ms = async () => Math.floor((await stat(bed.location.manifests)).mtimeMs);
    const before_ms = await changed_ms();
    await change(command);
    // Within one tick of the clock. Not by `mtime`, which is rounded and may be the next millisecond.
    await utimes(bed.location.manifests, new Date(before_ms), new Date(before_ms));
    expect(await changed_ms()).toBe(before_ms);
    await index.publish(NO_ABORT);
    const whole = await openTestLocation({ root: bed.root });
    expect(await readFile(bed.location.index, 'utf8')).toBe(formatIndex(whole.context.catalogue.list()));
  });

  test('writes the whole index when another may have changed something in the tick of its own change', async () => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(1));
    await indexOf(bed).publish(NO_ABORT);
    const added = await addBackup(await openTestLocation(), daily(5));
    const { additions } = (await another(bed)).command.context.catalogue;
    await using _lock = await bed.location.lock('catalogue', NO_ABORT);
    const hour = new Date(Date.now() + 3_600_000);
    // A tick that does not end.
    await additions.noting(added, () => utimes(bed.location.manifests, hour, hour));
    expect(additions.pending()).toBeUndefined();
  });

  test('writes the whole index when another changed something in the tick in which it was published', async () => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(1));
    await indexOf(bed).publish(NO_ABORT);
    await bed.context.catalogue.update(daily(1), pin, NO_ABORT);
    const hour = new Date(Date.now() + 3_600_000);
    for (const path of [bed.location.manifests, bed.location.index]) await utimes(path, hour, hour);
    const { command, index } = await another(bed);
    await addBackup(command, daily(5));
    await index.publish(NO_ABORT);
    expect(await published(bed)).toMatchObject([{ pinned: true }, { filename: daily(5) }]);
  });

  test('writes the whole index when what it added is not the newest', async () => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(5));
    await indexOf(bed).publish(NO_ABORT);
    const { command, index } = await another(bed);
    await addBackup(command, daily(4));
    await index.publish(NO_ABORT);
    expect(await published(bed)).toMatchObject([{ filename: daily(4) }, { filename: daily(5) }]);
  });
});

async function editInPlace({ location }: TestLocation, filename: string): Promise<void> {
  const path = location.manifestPath(filename);
  await writeFile(path, (await readFile(path, 'utf8')).replace('"pinned": false', '"pinned": true'));
}

test.each<[string, (bed: TestLocation) => Promise<unknown>]>([
  ['this process adds another', (bed) => addBackup(bed, daily(5))],
  [
    'another process adds and publishes another',
    async ({ root }) => {
      const other = await openTestLocation({ root });
      await addBackup(other, daily(5));
      await indexOf(other).publish(NO_ABORT);
    },
  ],
])('a manifest edited in its place reaches the index when %s', async (_when, add) => {
  for (const isSeenBefore of [true, false]) {
    const bed = await openTestLocation();
    await addBackup(bed, daily(1));
    const index = indexOf(bed);
    await index.publish(NO_ABORT);
    await editInPlace(bed, daily(1));
    if (!isSeenBefore) await add(bed);
    expect(bed.context.catalogue.list()).toBeDefined();
    if (isSeenBefore) await add(bed);
    await index.publish(NO_ABORT);
    expect(await published(bed)).toMatchObject([{ pinned: true }, { filename: daily(5) }]);
  }
});

test('what a process with a view adds extends the index, of which it is then known', async () => {
  const bed = await openTestLocation();
  await addBackup(bed, daily(1));
  const index = indexOf(bed);
  await index.publish(NO_ABORT);
  const lists = vi.spyOn(bed.context.catalogue, 'list');
  for (const name of [daily(2), daily(3)]) {
    await addBackup(bed, name);
    await index.publish(NO_ABORT);
    await index.publish(NO_ABORT);
  }
  expect(lists).not.toHaveBeenCalled();
  expect(await published(bed)).toHaveLength(3);
});

test('a manifest edited in its place reaches the index with the next look', async () => {
  const bed = await openTestLocation();
  await addBackup(bed, daily(1));
  const index = indexOf(bed);
  await index.publish(NO_ABORT);
  await editInPlace(bed, daily(1));
  const later = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 11_000);
  await index.publish(NO_ABORT);
  later.mockRestore();
  expect(await published(bed)).toMatchObject([{ pinned: true }]);
});

describe('the state that the index has the time of', () => {
  /** Gives the index a time about as long ago as that, until the clock says what is wanted. Returns that time. */
  function age(path: string, ago_ms: number, isFit: (age_ms: number) => boolean): number {
    const until_ms = performance.now() + 3000;
    let changed_ms = Date.now();
    while (performance.now() < until_ms) {
      const time_ms = Math.floor(changed_ms) - ago_ms;
      utimesSync(path, new Date(time_ms), new Date(time_ms));
      changed_ms = statSync(path).ctimeMs;
      if (isFit(changed_ms - time_ms)) return time_ms;
    }
    throw new Error('the clock of this file system is too coarse for this test');
  }

  test('is not known within the same millisecond, of which only the whole is compared', async () => {
    const { location } = await openTestLocation();
    await writeFile(location.index, '[]');
    const time_ms = age(location.index, 0, (age_ms) => age_ms > 0.02 && age_ms < 1);
    await utimes(location.manifests, (time_ms + 0.01) / 1000, (time_ms + 0.01) / 1000);
    expect(Math.floor((await stat(location.manifests)).mtimeMs)).toBe(time_ms);
    expect(new Additions(location).isPublishedByOthers()).toBe(false);
    const earlier_ms = age(location.index, 1, (age_ms) => age_ms >= 1);
    await utimes(location.manifests, new Date(earlier_ms), new Date(earlier_ms));
    expect(new Additions(location).isPublishedByOthers()).toBe(true);
  });

  const isOtherDevice = existsSync('/dev/shm') && statSync('/dev/shm').dev !== statSync(tmpdir()).dev;

  test.runIf(isOtherDevice)('is not known soon where the manifests are on another disk', async () => {
    const { location } = await openTestLocation();
    await writeFile(location.index, '[]');
    await rmdir(location.manifests);
    const directory = await mkdtemp('/dev/shm/cofre-test-');
    try {
      await symlink(directory, location.manifests);
      for (const [ago_ms, isKnown] of [
        [20, false],
        [300, true],
      ] as const) {
        const time_ms = age(location.index, ago_ms, (age_ms) => age_ms < ago_ms + 50);
        await utimes(directory, new Date(time_ms), new Date(time_ms));
        expect(new Additions(location).isPublishedByOthers()).toBe(isKnown);
      }
    } finally {
      await rmdir(directory);
    }
  });
});

test('a clock that is too coarse is waited for once', async () => {
  const bed = await openTestLocation();
  const { additions } = bed.context.catalogue;
  await writeFile(bed.location.index, '[]');
  const hour = new Date(Date.now() + 3_600_000);
  await utimes(bed.location.manifests, hour, hour);
  const waits = vi.spyOn(globalThis, 'setTimeout');
  await additions.markPublished();
  expect(waits).toHaveBeenCalled();
  waits.mockClear();
  await additions.markPublished();
  expect(waits).not.toHaveBeenCalled();
  // It is tried all the same.
  await utimes(bed.location.manifests, new Date(0), new Date(0));
  await additions.markPublished();
  const other = new Additions(bed.location);
  expect(other.isPublishedByOthers()).toBe(true);
  waits.mockRestore();
});

describe('the times of what a planted link points to are left alone', () => {
  const LONG_AGO = new Date('2001-02-03T04:05:06.000Z');

  test('in the place of the index', async () => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(1));
    await indexOf(bed).publish(NO_ABORT);
    const target = `${bed.location.index}.else`;
    await rename(bed.location.index, target);
    await symlink(target, bed.location.index);
    await utimes(target, LONG_AGO, LONG_AGO);
    await indexOf(await openTestLocation({ root: bed.root })).publish(NO_ABORT);
    expect((await stat(target)).mtime).toEqual(LONG_AGO);
  });

  test('in the place of the lock', async () => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(1));
    await indexOf(bed).publish(NO_ABORT);
    const added = await addBackup(await openTestLocation(), daily(5));
    const lock = bed.location.lockPath('catalogue');
    const target = `${bed.location.index}.else`;
    await writeFile(target, '');
    await utimes(target, LONG_AGO, LONG_AGO);
    await rm(lock);
    await symlink(target, lock);
    const { mtimeMs } = await lstat(lock);
    await bed.context.catalogue.additions.noting(added, async () => undefined);
    expect((await lstat(lock)).mtimeMs).not.toBe(mtimeMs);
    expect((await stat(target)).mtime).toEqual(LONG_AGO);
  });
});
