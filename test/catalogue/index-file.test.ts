import { readFile, stat, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { IndexFile } from '../../src/catalogue/index-file.ts';
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
