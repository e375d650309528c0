import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { OpenDirectory } from '../../../src/targets/files/open-directory.ts';
import { namesIn, temporaryDirectory } from '../../support/temp-directory.ts';

test('what takes the place of an open directory does not change where its entries are', async () => {
  const home = await temporaryDirectory();
  for (const name of ['dir', 'elsewhere']) fs.mkdirSync(join(home, name));
  using directory = new OpenDirectory(join(home, 'dir'), 'nofollow');
  fs.renameSync(join(home, 'dir'), join(home, 'moved'));
  fs.symlinkSync('elsewhere', join(home, 'dir'));
  fs.writeFileSync(directory.at('\xe9'), '');
  expect(fs.readdirSync(join(home, 'moved'), { encoding: 'latin1' })).toEqual(['\xe9']);
  expect(await namesIn(join(home, 'elsewhere'))).toEqual([]);
});

test('a symbolic link is opened only where it is to be followed', async () => {
  const home = await temporaryDirectory();
  fs.mkdirSync(join(home, 'dir'));
  fs.symlinkSync('dir', join(home, 'link'));
  expect(() => new OpenDirectory(join(home, 'link'), 'nofollow')).toThrow(/ENOTDIR|ELOOP/);
  using followed = new OpenDirectory(join(home, 'link'), 'follow');
  expect(fs.fstatSync(followed.fd).ino).toBe(fs.statSync(join(home, 'dir')).ino);
});
