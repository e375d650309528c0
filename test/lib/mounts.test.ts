import { spawnSync } from 'node:child_process';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { isMountPoint, spaceAt } from '../../src/lib/mounts.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';

const MODULE = join(import.meta.dirname, '../../src/lib/mounts.ts');

test('/ and /proc are mount points, a plain directory is none', async () => {
  expect(await isMountPoint('/')).toBe(true);
  expect(await isMountPoint('/proc')).toBe(true);
  const directory = await temporaryDirectory();
  expect(await isMountPoint(directory)).toBe(false);
  await expect(isMountPoint(join(directory, 'missing'))).rejects.toThrow('ENOENT');
});

test('a link to a mount point is one', async () => {
  const link = join(await temporaryDirectory(), 'link');
  await symlink('/proc', link);
  expect(await isMountPoint(link)).toBe(true);
});

test('a mount point with blanks and backslashes in its name is recognised, a bind mount as well', async () => {
  const directory = join(await temporaryDirectory(), 'my\\040 disk\\');
  await mkdir(directory);
  const code = `
    const { isMountPoint } = await import(${JSON.stringify(MODULE)});
    console.log(await isMountPoint(process.env.WHERE));`;
  const bash = `mount --bind "$WHERE" "$WHERE" && exec "$NODE" --input-type=module -e "$CODE"`;
  const run = spawnSync('unshare', ['--user', '--map-root-user', '--mount', 'sh', '-c', bash], {
    encoding: 'utf8',
    env: { ...process.env, WHERE: directory, NODE: process.execPath, CODE: code },
  });
  // Where the kernel or a container forbids mounts, the name is told from one that is not mounted at least.
  const isAllowed = run.status === 0;
  expect(isAllowed ? run.stdout.trim() : String(await isMountPoint(directory))).toBe(String(isAllowed));
});

test('the space is that of the file system', async () => {
  const directory = await temporaryDirectory();
  const space = await spaceAt(directory);
  expect(space.total_bytes).toBeGreaterThan(0);
  expect(space.free_bytes).toBeGreaterThan(0);
  expect(space.free_bytes).toBeLessThanOrEqual(space.total_bytes);
  await writeFile(join(directory, 'x'), 'x');
  expect((await spaceAt(join(directory, 'x'))).total_bytes).toBe(space.total_bytes);
});
