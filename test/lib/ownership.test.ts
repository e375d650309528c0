import { chmod, chown, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { adoptFile, FILE_MODE, makeDirectory, ownerOf } from '../../src/lib/ownership.ts';
import { isRoot } from '../support/file-tree.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';

test('directories are made with mode 0700 whatever the umask, and one that exists is left as it is', async () => {
  const path = join(await temporaryDirectory(), 'made');
  await makeDirectory(path, undefined);
  expect((await stat(path)).mode & 0o777).toBe(0o700);
  await chmod(path, 0o750);
  await makeDirectory(path, undefined);
  expect((await stat(path)).mode & 0o777).toBe(0o750);
  await expect(makeDirectory(join(path, 'a', 'b'), undefined)).rejects.toThrow('ENOENT');
});

test('what root makes belongs to the owner of the location; for anyone else there is nothing to change', async () => {
  const root = await temporaryDirectory();
  if (isRoot) await chown(root, 12_345, 12_346);
  const owner = await ownerOf(root);
  expect(owner).toEqual(isRoot ? { uid: 12_345, gid: 12_346 } : undefined);
  await makeDirectory(join(root, 'database'), owner);
  const file = await open(join(root, 'file'), 'w', FILE_MODE);
  await adoptFile(file, owner);
  await file.close();
  const expected = await stat(root);
  for (const name of ['database', 'file']) {
    const { uid, gid } = await stat(join(root, name));
    expect({ uid, gid }).toEqual({ uid: expected.uid, gid: expected.gid });
  }
});
