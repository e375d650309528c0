import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { deleteArchive } from '../../src/engine/delete.ts';
import { takeInventory } from '../../src/engine/inventory.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { addBackup, addRecorded, daily, journalEntries, lose } from '../support/stock.ts';
import { namesIn } from '../support/temp-directory.ts';
import { openTestLocation } from '../support/test-location.ts';

const ALICE = { trigger: 'cli', actor: 'cli:alice' } as const;

describe('deleting one backup', () => {
  test('removes it and is recorded with who asked', async () => {
    const bed = await openTestLocation();
    await addRecorded(bed, 1, 2);
    await deleteArchive(bed.context, daily(1), ALICE, NO_ABORT);
    expect(await namesIn(join(bed.root, 'database'))).toEqual([daily(2)]);
    expect(await namesIn(bed.location.manifests)).toEqual([`${daily(2)}.json`]);
    expect((await journalEntries(bed)).at(-1)).toMatchObject({
      event: 'ended',
      job: '@delete',
      ...ALICE,
      outcome: 'succeeded',
      removed: [daily(1)],
    });
    expect(await takeInventory(bed.context)).toEqual([]);
  });

  test('is refused for a pinned one', async () => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(1), { pinned: true });
    await expect(deleteArchive(bed.context, daily(1), ALICE, NO_ABORT)).rejects.toMatchObject({
      code: 'ARCHIVE_PINNED',
      hint: expect.stringContaining('unpin') as string,
    });
    expect(bed.context.catalogue.find(daily(1))).toBeDefined();
    expect(await journalEntries(bed)).toEqual([]);
  });

  test.each(['../../etc/passwd', '../database/x', 'nothing', daily(9)])(
    'of %j is an error',
    async (filename) => {
      const bed = await openTestLocation();
      await addRecorded(bed, 1);
      await expect(deleteArchive(bed.context, filename, ALICE, NO_ABORT)).rejects.toMatchObject({
        code: 'ARCHIVE_UNKNOWN',
      });
      expect(await journalEntries(bed)).toHaveLength(1);
    },
  );

  test('that was lost by other means strikes it off, so that it is no longer missed', async () => {
    const bed = await openTestLocation();
    await addRecorded(bed, 1);
    await lose(bed, 1);
    expect(await takeInventory(bed.context)).toMatchObject([{ filename: daily(1), kind: 'lost' }]);
    await deleteArchive(bed.context, daily(1), ALICE, NO_ABORT);
    expect(await takeInventory(bed.context)).toEqual([]);
    await expect(deleteArchive(bed.context, daily(1), ALICE, NO_ABORT)).rejects.toMatchObject({
      code: 'ARCHIVE_UNKNOWN',
    });
  });

  test('whose archive is gone already removes its manifest', async () => {
    const bed = await openTestLocation();
    await addRecorded(bed, 1);
    await rm(bed.location.archivePath('database', daily(1)));
    await deleteArchive(bed.context, daily(1), ALICE, NO_ABORT);
    expect(await namesIn(bed.location.manifests)).toEqual([]);
  });
});
