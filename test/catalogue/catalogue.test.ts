import { mkdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { formatManifest } from '../../src/catalogue/manifest-file.ts';
import { BackupError } from '../../src/domain/errors.ts';
import type { Manifest } from '../../src/domain/manifest.ts';
import { NO_ABORT, withFaults } from '../support/fakes.ts';
import { addBackup, daily, manifestOf } from '../support/stock.ts';
import { namesIn } from '../support/temp-directory.ts';
import { openTestLocation, type TestLocation } from '../support/test-location.ts';

const allow = () => undefined;

function refuse(): never {
  throw new BackupError('ARCHIVE_PINNED', 'pinned');
}

/** What the catalogue lists, as filenames. */
function listed({ context }: TestLocation): string[] {
  return context.catalogue.list().map(({ filename }) => filename);
}

async function plant({ location }: TestLocation, filename: string, text: string): Promise<void> {
  await writeFile(location.manifestPath(filename), text);
}

async function manifestsOf({ location }: TestLocation): Promise<string[]> {
  return await namesIn(location.manifests);
}

describe('the backups of a location', () => {
  test('are none in a new one', async () => {
    const bed = await openTestLocation();
    expect(listed(bed)).toEqual([]);
    expect(bed.context.catalogue.faults()).toEqual([]);
    expect(await bed.context.catalogue.orphans()).toEqual([]);
  });

  test('are listed oldest first and without their contents; a whole manifest can be read', async () => {
    const bed = await openTestLocation();
    const newer = await addBackup(bed, daily(3));
    const older = await addBackup(bed, daily(2, 'other'));
    expect(listed(bed)).toEqual([older.filename, newer.filename]);
    const { contents: _, ...summary } = newer;
    expect(bed.context.catalogue.find(newer.filename)).toEqual(summary);
    expect(await bed.context.catalogue.read(newer.filename)).toEqual(newer);
    expect(bed.context.catalogue.series('other').map(({ filename }) => filename)).toEqual([older.filename]);
  });

  test('the latest of a source is the last of its series, one that cannot be read passed over', async () => {
    const bed = await openTestLocation();
    const { catalogue } = bed.context;
    expect(catalogue.latest('app')).toBeUndefined();
    for (const day of [2, 3, 1]) await addBackup(bed, daily(day));
    await addBackup(bed, daily(4, 'other'));
    expect(catalogue.latest('app')).toEqual(catalogue.series('app').at(-1));
    await writeFile(bed.location.manifestPath(daily(3)), 'not JSON');
    expect(catalogue.latest('app')?.filename).toBe(daily(2));
    expect(catalogue.latest('gone')).toBeUndefined();
  });

  test('only the manifests that changed are read again', async () => {
    const bed = await openTestLocation();
    for (const day of [1, 2, 3]) await addBackup(bed, daily(day));
    const other = await openTestLocation({ root: bed.root });
    const { catalogue } = other.context;
    const before = catalogue.list();
    await bed.context.catalogue.update(daily(2), (manifest) => ({ ...manifest, pinned: true }), NO_ABORT);
    const after = catalogue.list();
    // What was read anew is another object.
    expect(after.map((manifest, index) => manifest === before[index])).toEqual([true, false, true]);
  });

  test('changes of another process are seen, and move the generation', async () => {
    const bed = await openTestLocation();
    const other = await openTestLocation({ root: bed.root });
    const { catalogue } = bed.context;
    expect(catalogue.generation()).toBe(catalogue.generation());
    const seen: number[] = [catalogue.generation()];
    await addBackup(other, daily(1));
    seen.push(catalogue.generation());
    expect(listed(bed)).toEqual([daily(1)]);
    await other.context.catalogue.update(daily(1), (manifest) => ({ ...manifest, pinned: true }), NO_ABORT);
    seen.push(catalogue.generation());
    expect(catalogue.find(daily(1))?.pinned).toBe(true);
    await other.context.catalogue.remove(daily(1), allow, NO_ABORT);
    seen.push(catalogue.generation());
    expect(listed(bed)).toEqual([]);
    expect(new Set(seen).size).toBe(seen.length);
    expect(catalogue.generation()).toBe(seen.at(-1));
  });

  test('many changes within one tick of the clock are all seen', async () => {
    const bed = await openTestLocation();
    const other = await openTestLocation({ root: bed.root });
    for (let round = 0; round < 5; round += 1) {
      const run = `run-${round}`;
      await writeFile(
        other.location.manifestPath(daily(1)),
        formatManifest(manifestOf(bed.location, daily(1), { run })),
      );
      await rm(other.location.manifestPath(daily(1)));
      await other.context.catalogue.add(manifestOf(bed.location, daily(1), { run }), NO_ABORT);
      expect(bed.context.catalogue.find(daily(1))?.run).toBe(run);
    }
  });

  test('a change within the tick of the one seen last is seen', async () => {
    const bed = await openTestLocation();
    const tick = new Date();
    await utimes(bed.location.manifests, tick, tick);
    expect(listed(bed)).toEqual([]);
    await plant(bed, daily(1), formatManifest(manifestOf(bed.location, daily(1))));
    await utimes(bed.location.manifests, tick, tick);
    expect(listed(bed)).toEqual([daily(1)]);
  });

  test('are loaded by the thousand in one look, and the next look is cheap', async () => {
    const bed = await openTestLocation();
    for (let index = 0; index < 2_000; index += 1) {
      const at = new Date(Date.UTC(2026, 0, 1) + index * 3_600_000).toISOString();
      const timestamp = at.slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '_');
      const filename = `db_backup_app_${timestamp}.sql.gz`;
      await plant(bed, filename, formatManifest(manifestOf(bed.location, filename)));
    }
    expect(bed.context.catalogue.list()).toHaveLength(2_000);
    expect(listed(bed)).toEqual(listed(bed).toSorted());
    const generation = bed.context.catalogue.generation();
    for (let look = 0; look < 50; look += 1) expect(bed.context.catalogue.generation()).toBe(generation);
  });
});

describe('a manifest that cannot be read', () => {
  const good = async () => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(1));
    const text = await readFile(bed.location.manifestPath(daily(1)), 'utf8');
    return { bed, text };
  };

  test.each<[string, (text: string) => string]>([
    ['is cut', (text) => text.slice(0, text.length / 2)],
    ['is empty', () => ''],
    ['is other JSON', () => '[]'],
    ['has a wrong type in a field', (text) => text.replace(/"size": \d+/, '"size": "large"')],
    ['lacks a field', (text) => text.replace('"hash"', '"hush"')],
    ['is of a later version', (text) => text.replace('"version": 1', '"version": 2')],
    ['claims to be encrypted', (text) => text.replace('"encrypted": false', '"encrypted": true')],
  ])('because it %s is reported, not thrown, and hides no other', async (_, damage) => {
    const { bed, text } = await good();
    await plant(
      bed,
      daily(2),
      damage(text.replaceAll(daily(1), daily(2)).replaceAll('20261101', '20261102')),
    );
    expect(listed(bed)).toEqual([daily(1)]);
    expect(bed.context.catalogue.faults()).toMatchObject([{ code: 'MANIFEST_CORRUPT', path: daily(2) }]);
    await expect(bed.context.catalogue.read(daily(2))).rejects.toMatchObject({ code: 'MANIFEST_CORRUPT' });
  });

  test('because it is that of another archive is reported', async () => {
    const { bed, text } = await good();
    await plant(bed, daily(2), text);
    expect(listed(bed)).toEqual([daily(1)]);
    expect(bed.context.catalogue.faults()).toMatchObject([{ code: 'MANIFEST_CORRUPT', path: daily(2) }]);
    // Renamed, but of another source by what it says.
    await plant(bed, daily(1, 'other'), text.replaceAll(daily(1), daily(1, 'other')));
    expect(bed.context.catalogue.faults()).toHaveLength(2);
  });

  test.each([
    ['no baseline', { findings: [] }],
    ['a kind that is none', { baseline: 'x', findings: [{ kind: 'exploded', detail: '' }] }],
    ['half an acknowledgement', { baseline: 'x', findings: [], acknowledged: { at: 'yesterday' } }],
  ])('because its anomaly has %s is reported', async (_, anomaly) => {
    const { bed, text } = await good();
    const manifest = JSON.parse(text) as object;
    await plant(bed, daily(1), JSON.stringify({ ...manifest, anomaly }));
    expect(bed.context.catalogue.faults()).toMatchObject([
      { code: 'MANIFEST_CORRUPT', message: expect.stringContaining('read: anomaly.') as string },
    ]);
  });

  test('because a directory lies in its place is reported like any other', async () => {
    const { bed } = await good();
    await mkdir(bed.location.manifestPath(daily(2)));
    expect(bed.context.catalogue.faults()).toMatchObject([{ code: 'MANIFEST_CORRUPT', path: daily(2) }]);
    expect(listed(bed)).toEqual([daily(1)]);
  });

  test('is good again once it is repaired', async () => {
    const { bed, text } = await good();
    await plant(bed, daily(1), 'damaged');
    expect(listed(bed)).toEqual([]);
    await rm(bed.location.manifestPath(daily(1)));
    await plant(bed, daily(1), text);
    expect(listed(bed)).toEqual([daily(1)]);
    expect(bed.context.catalogue.faults()).toEqual([]);
  });
});

test('the path in a manifest is derived, never trusted', async () => {
  const bed = await openTestLocation();
  const manifest = manifestOf(bed.location, daily(1), { filepath: '/etc/passwd' });
  await plant(bed, daily(1), formatManifest(manifest));
  const derived = join(bed.root, 'database', daily(1));
  expect(bed.context.catalogue.find(daily(1))?.filepath).toBe(derived);
  expect((await bed.context.catalogue.read(daily(1))).filepath).toBe(derived);
});

describe('a change of a manifest', () => {
  test('keeps the fields that a later version added', async () => {
    const bed = await openTestLocation();
    const later = { ...manifestOf(bed.location, daily(1)), later: { fact: 1 } } as Manifest;
    await plant(bed, daily(1), formatManifest(later));
    await bed.context.catalogue.update(daily(1), (manifest) => ({ ...manifest, pinned: true }), NO_ABORT);
    const text = await readFile(bed.location.manifestPath(daily(1)), 'utf8');
    expect(JSON.parse(text)).toEqual({ ...later, pinned: true });
  });

  test('starts from what is on disk now, so that two at once are both kept', async () => {
    const bed = await openTestLocation();
    const other = await openTestLocation({ root: bed.root });
    await addBackup(bed, daily(1));
    await Promise.all([
      bed.context.catalogue.update(daily(1), (manifest) => ({ ...manifest, pinned: true }), NO_ABORT),
      other.context.catalogue.update(daily(1), (manifest) => ({ ...manifest, actor: 'cli:eve' }), NO_ABORT),
    ]);
    expect(bed.context.catalogue.find(daily(1))).toMatchObject({ pinned: true, actor: 'cli:eve' });
  });

  test.each(['db_backup_app_20261101_020000.sql.gz', '../../etc/passwd', 'x', ''])(
    'of %j, which is no backup, throws ARCHIVE_UNKNOWN',
    async (filename) => {
      const { context } = await openTestLocation();
      const unknown = { code: 'ARCHIVE_UNKNOWN' };
      await expect(context.catalogue.read(filename)).rejects.toMatchObject(unknown);
      await expect(context.catalogue.update(filename, (m) => m, NO_ABORT)).rejects.toMatchObject(unknown);
      await expect(context.catalogue.remove(filename, allow, NO_ABORT)).rejects.toMatchObject(unknown);
    },
  );
});

describe('a deletion', () => {
  test('takes the manifest away before the archive, and the marker last', async () => {
    const seen: string[][] = [];
    const bed: TestLocation = await openTestLocation({
      wrapStore: (store) =>
        withFaults(store, {
          delete: async (key) => {
            seen.push(await manifestsOf(bed), await namesIn(join(bed.root, 'database')));
            await store.delete(key);
          },
        }),
    });
    await addBackup(bed, daily(1));
    await bed.context.catalogue.remove(daily(1), allow, NO_ABORT);
    expect(seen).toEqual([[`${daily(1)}.json.deleting`], [daily(1)]]);
    expect(listed(bed)).toEqual([]);
    expect(await namesIn(join(bed.root, 'database'))).toEqual([]);
    // The marker goes once the deletion is recorded.
    expect(await bed.context.catalogue.deletions()).toEqual([daily(1)]);
    await bed.context.catalogue.dropMarkers([daily(1)], NO_ABORT);
    expect(await manifestsOf(bed)).toEqual([]);
  });

  test('that is refused changes nothing, and sees the manifest as it is on disk', async () => {
    const bed = await openTestLocation();
    const manifest = await addBackup(bed, daily(1));
    const seen: Manifest[] = [];
    const look = (found: Manifest) => {
      seen.push(found);
      refuse();
    };
    const removal = bed.context.catalogue.remove(daily(1), look, NO_ABORT);
    await expect(removal).rejects.toMatchObject({ code: 'ARCHIVE_PINNED' });
    expect(seen).toEqual([manifest]);
    expect(listed(bed)).toEqual([daily(1)]);
    expect(await namesIn(join(bed.root, 'database'))).toEqual([daily(1)]);
  });

  test('a storage-delete error dropped the catalogue row anyway: not here, it stays listed', async () => {
    const bed = await openTestLocation({
      wrapStore: (store) =>
        withFaults(store, {
          delete: async () => {
            throw Object.assign(new Error('EPERM: operation not permitted'), { code: 'EPERM' });
          },
        }),
    });
    await addBackup(bed, daily(1));
    const removal = bed.context.catalogue.remove(daily(1), allow, NO_ABORT);
    await expect(removal).rejects.toMatchObject({ code: 'IO_FAILED' });
    expect(listed(bed)).toEqual([daily(1)]);
    expect(await manifestsOf(bed)).toEqual([`${daily(1)}.json`]);
  });

  test('that a crash cut after the marker is no backup any more, and is resumed', async () => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(1));
    await addBackup(bed, daily(2));
    const text = await readFile(bed.location.manifestPath(daily(1)));
    await rm(bed.location.manifestPath(daily(1)));
    await writeFile(join(bed.location.manifests, `${daily(1)}.json.deleting`), text);
    expect(listed(bed)).toEqual([daily(2)]);
    expect(await bed.context.catalogue.orphans()).toEqual([]);
    expect(await bed.context.catalogue.deletions()).toEqual([daily(1)]);
    // Not while the archive is there: it would be an orphan.
    await bed.context.catalogue.dropMarkers([daily(1)], NO_ABORT);
    expect(await bed.context.catalogue.deletions()).toEqual([daily(1)]);
    await bed.context.catalogue.resumeDeletion(daily(1), NO_ABORT);
    await bed.context.catalogue.dropMarkers([daily(1)], NO_ABORT);
    expect(await manifestsOf(bed)).toEqual([`${daily(2)}.json`]);
    expect(await namesIn(join(bed.root, 'database'))).toEqual([daily(2)]);
  });

  test('resuming one that is none leaves a backup alone', async () => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(1));
    await bed.context.catalogue.resumeDeletion(daily(1), NO_ABORT);
    expect(listed(bed)).toEqual([daily(1)]);
    expect(await namesIn(join(bed.root, 'database'))).toEqual([daily(1)]);
  });
});

describe('what lies at the location', () => {
  test('archives without a manifest are orphans; an unreadable manifest is one all the same', async () => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(1));
    await writeFile(join(bed.root, 'database', daily(2)), 'x');
    await writeFile(join(bed.root, 'files', 'files_backup_app_20261103_020000.tar'), 'x');
    await writeFile(join(bed.root, 'database', daily(4)), 'x');
    await plant(bed, daily(4), 'damaged');
    expect(await bed.context.catalogue.orphans()).toEqual([daily(2), 'files_backup_app_20261103_020000.tar']);
  });

  test('a name is taken by an archive, a partial, a rejected one, a manifest and a deletion', async () => {
    const bed = await openTestLocation();
    const { catalogue } = bed.context;
    expect(await catalogue.isTaken(daily(1))).toBe(false);
    const traces = [
      join('database', daily(1)),
      join('database', `.${daily(1)}.partial`),
      join('database', `.${daily(1)}.failed`),
      join('manifests', `${daily(1)}.json`),
      join('manifests', `${daily(1)}.json.deleting`),
    ];
    for (const trace of traces) {
      await writeFile(join(bed.root, trace), '');
      expect(await catalogue.isTaken(daily(1))).toBe(true);
      await rm(join(bed.root, trace));
    }
    expect(await catalogue.isTaken('no archive')).toBe(true);
  });
});
