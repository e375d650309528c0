import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { takeInventory } from '../../src/engine/inventory.ts';
import { addRecorded, daily, endedEntry, lose } from '../support/stock.ts';
import { openTestLocation } from '../support/test-location.ts';

describe('the inventory', () => {
  test('of a location in order is empty', async () => {
    const bed = await openTestLocation();
    await addRecorded(bed, 1, 2);
    expect(await takeInventory(bed.context)).toEqual([]);
  });

  test('names orphans, unreadable manifests and what is lost, each once', async () => {
    const bed = await openTestLocation();
    await addRecorded(bed, 1, 2, 3, 4);
    await rm(bed.location.manifestPath(daily(1)));
    await writeFile(bed.location.manifestPath(daily(2)), 'damaged');
    await lose(bed, 3);
    await rm(bed.location.manifestPath(daily(4)));
    await mkdir(bed.location.manifestPath(daily(4)));
    const faults = await takeInventory(bed.context);
    expect(faults.map(({ filename, kind }) => [filename, kind])).toEqual([
      [daily(1), 'orphan'],
      [daily(2), 'manifest'],
      [daily(4), 'manifest'],
      [daily(3), 'lost'],
    ]);
  });

  test('verify silent when a whole backup directory is gone: not here', async () => {
    const bed = await openTestLocation();
    await addRecorded(bed, 1, 2);
    for (const name of ['database', 'manifests']) {
      await rm(join(bed.root, name), { recursive: true });
      await mkdir(join(bed.root, name));
    }
    const faults = await takeInventory(bed.context);
    expect(faults.map(({ kind }) => kind)).toEqual(['lost', 'lost']);
  });

  test('does not miss what was pruned, nor a deletion that is under way', async () => {
    const bed = await openTestLocation();
    await addRecorded(bed, 1, 2);
    await lose(bed, 1);
    await bed.context.journal.append(endedEntry([], { job: '@prune', removed: [daily(1)] }));
    const path = bed.location.manifestPath(daily(2));
    await rename(path, `${path}.deleting`);
    expect(await takeInventory(bed.context)).toEqual([]);
  });
});
