import { chmod, chown, lstat, mkdir, open, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { adoptFile, FILE_MODE, makeDirectory, ownerOf } from '../../src/lib/ownership.ts';
import { isRoot } from '../support/file-tree.ts';
import { isLink } from '../support/planted-link.ts';
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

test('whoever works for himself may have a directory on another disk, through a link', async () => {
  const [root, disk] = [await temporaryDirectory(), await temporaryDirectory()];
  const path = join(root, 'database');
  await symlink(disk, path);
  await makeDirectory(path, undefined);
  expect(await isLink(path)).toBe(true);
});

test('root, who works for another, is not led elsewhere by what exists in the place of a directory', async () => {
  const [root, disk] = [await temporaryDirectory(), await temporaryDirectory()];
  const mine = await stat(root);
  const owner = { uid: mine.uid + 1, gid: mine.gid };
  const path = join(root, 'database');
  await symlink(disk, path);
  const before = await stat(disk);
  await expect(makeDirectory(path, owner)).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE', path });
  expect(await stat(disk)).toMatchObject({ uid: before.uid, gid: before.gid, ctimeMs: before.ctimeMs });
  const file = join(root, 'files');
  await writeFile(file, '');
  await expect(makeDirectory(file, owner)).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE', path: file });
  // In a location of its own root may keep a directory on another disk, like anyone.
  await makeDirectory(path, { uid: 0, gid: 0 });
  expect((await lstat(path)).isSymbolicLink()).toBe(true);
});

test('a directory that exists is good for root if it is of the owner or of root, and not of a third user', async () => {
  const root = await temporaryDirectory();
  const path = join(root, 'manifests');
  await mkdir(path);
  const { uid, gid } = await lstat(path);
  await makeDirectory(path, { uid, gid });
  const other = { uid: uid + 1, gid };
  if (isRoot) await makeDirectory(path, other);
  if (isRoot) await chown(path, uid + 2, gid);
  const making = makeDirectory(path, other);
  await expect(making).rejects.toMatchObject({
    code: 'LOCATION_UNUSABLE',
    message: expect.stringContaining(`belongs to user ${isRoot ? uid + 2 : uid}`) as string,
  });
});
