import { execFileSync } from 'node:child_process';
import {
  link,
  mkdir,
  open as openFile,
  readdir,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Key } from '../../src/domain/ports.ts';
import { DirectoryStore } from '../../src/stores/directory-store.ts';
import { describeStore, modeOf, onDisk } from '../contract/store.ts';
import { NO_ABORT, yields } from '../support/fakes.ts';
import { foreignFile, plantLink } from '../support/planted-link.ts';
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

const FILENAME = 'db_backup_app_20261120_120015.sql.gz';
const KEY: Key = `database/${FILENAME}`;

async function readAll(store: DirectoryStore): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of store.get(KEY, NO_ABORT)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test('a link planted in the place of an archive is not followed, and does not have its size', async () => {
  const { store, root } = await open();
  const path = join(root, KEY);
  const victim = await plantLink(path);
  await expect(readAll(store)).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE', path });
  const listed = await store.list('database');
  expect(listed).toEqual([{ key: KEY, size: victim.path.length }]);
  expect(await victim.state()).toMatchObject({ text: 'secret' });
});

test('a FIFO in the place of an archive is refused, without waiting for anyone', async () => {
  const { store, root } = await open();
  execFileSync('mkfifo', [join(root, KEY)]);
  await expect(readAll(store)).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE' });
});

test('root reads no further name of a file of a third user', async () => {
  const { root } = await open();
  const victim = await foreignFile();
  await link(victim.path, join(root, KEY));
  const { uid, gid } = await stat(victim.path);
  const store = new DirectoryStore(root, { uid: uid + 1, gid });
  await expect(readAll(store)).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE' });
});

test('a directory of archives may be a link to another disk', async () => {
  const { store, root } = await open();
  const other = join(await temporaryDirectory(), 'disk');
  await rename(join(root, 'database'), other);
  await symlink(other, join(root, 'database'));
  await writeFile(join(other, FILENAME), 'x');
  expect(await readAll(store)).toBe('x');
  expect(await store.list('database')).toEqual([{ key: KEY, size: 1 }]);
});

test('a flush that fails while there is more to write fails the archive, and leaves nothing', async () => {
  const { store, root } = await open();
  const probe = await openFile(process.execPath, 'r');
  const handles = Object.getPrototypeOf(probe) as { datasync: () => Promise<void> };
  await probe.close();
  const { datasync } = handles;
  // The system tells of a lost write once, whoever flushes next.
  handles.datasync = async () => {
    handles.datasync = datasync;
    throw Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO', syscall: 'fdatasync' });
  };
  onTestFinished(() => {
    handles.datasync = datasync;
  });
  let taken = 0;
  const large = async function* () {
    for (; taken < 400; taken += 1) yield Buffer.alloc(1024 * 1024, taken);
  };
  await expect(store.stage(KEY, large(), NO_ABORT)).rejects.toMatchObject({
    code: 'IO_FAILED',
    message: expect.stringContaining('EIO') as string,
  });
  // Told when the flush has failed, not when all is written.
  expect(taken).toBeLessThan(400);
  expect(await readdir(join(root, 'database'))).toEqual([]);
});
