import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DirectoryStore } from '../../src/stores/directory-store.ts';
import { describeStore, modeOf, onDisk } from '../contract/store.ts';
import { NO_ABORT, yields } from '../support/fakes.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';

async function open() {
  const root = await temporaryDirectory();
  await mkdir(join(root, 'database'));
  await mkdir(join(root, 'files'));
  return { root, store: new DirectoryStore(root, undefined), ...onDisk(root) };
}

describeStore('a directory', open);

test('a directory that is gone holds nothing; a root that is gone cannot be read', async () => {
  const { store, root } = await open();
  await rm(join(root, 'files'), { recursive: true });
  expect(await store.list('files')).toEqual([]);
  await rm(root, { recursive: true });
  await expect(store.list('files')).rejects.toThrow('ENOENT');
});

test('archives are readable for their owner alone, from their first byte on', async () => {
  const { store, root } = await open();
  const filename = 'db_backup_app_20261120_120015.sql.gz';
  const staged = await store.stage(`database/${filename}`, yields('x')(NO_ABORT, 1), NO_ABORT);
  expect(await modeOf(join(root, 'database', `.${filename}.partial`))).toBe(0o600);
  await staged.commit();
  expect(await modeOf(join(root, 'database', filename))).toBe(0o600);
});
