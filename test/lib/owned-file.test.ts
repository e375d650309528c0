import { execFileSync } from 'node:child_process';
import { link, mkdir, readFile, stat, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openOwnFile } from '../../src/lib/owned-file.ts';
import { foreignFile, plantLink } from '../support/planted-link.ts';
import { namesIn, temporaryDirectory } from '../support/temp-directory.ts';

test('a file is made for its owner alone, read and appended to', async () => {
  const path = join(await temporaryDirectory(), 'journal.jsonl');
  for (const text of ['one', 'two']) {
    await using file = await openOwnFile(path, undefined);
    await file.writeFile(text);
  }
  await using file = await openOwnFile(path, undefined);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(10), 0, 10, 1);
  expect(buffer.subarray(0, bytesRead).toString()).toBe('netwo');
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test('a symbolic link is refused, and neither what it leads to is touched nor a file made there', async () => {
  const directory = await temporaryDirectory();
  const path = join(directory, 'link');
  const victim = await plantLink(path);
  const before = await victim.state();
  await expect(openOwnFile(path, undefined)).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE', path });
  expect(await victim.state()).toEqual(before);
  const dangling = join(directory, 'dangling');
  await symlink(join(directory, 'new'), dangling);
  await expect(openOwnFile(dangling, undefined)).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE' });
  expect(await namesIn(directory)).toEqual(['dangling', 'link']);
});

test('a file of a third user with another name elsewhere is refused where root works for somebody', async () => {
  const victim = await foreignFile();
  const path = `${victim.path}.link`;
  await link(victim.path, path);
  const before = await victim.state();
  const { uid, gid } = await stat(path);
  await expect(openOwnFile(path, { uid: uid + 1, gid })).rejects.toMatchObject({
    code: 'LOCATION_UNUSABLE',
    hint: expect.stringContaining('ls -l') as string,
  });
  expect(await victim.state()).toEqual(before);
});

test('a snapshot made of hard links does not keep anyone out of files of their own', async () => {
  const path = join(await temporaryDirectory(), 'journal.jsonl');
  await (await openOwnFile(path, undefined)).close();
  await link(path, `${path}.snapshot`);
  const { uid, gid } = await stat(path);
  for (const owner of [undefined, { uid, gid }]) {
    await using file = await openOwnFile(path, owner);
    expect((await file.stat()).nlink).toBe(2);
  }
});

test('a directory, a FIFO and a socket are refused, without waiting for anyone', async () => {
  const directory = await temporaryDirectory();
  const names = ['directory', 'fifo', 'socket'];
  const [taken = '', fifo = '', socket = ''] = names.map((name) => join(directory, name));
  await mkdir(taken);
  execFileSync('mkfifo', [fifo]);
  const server = createServer().listen(socket);
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  for (const path of [taken, fifo, socket]) {
    await expect(openOwnFile(path, undefined)).rejects.toMatchObject({ code: 'LOCATION_UNUSABLE', path });
  }
});

test('what the system has against it is told as it is', async () => {
  const path = join(await temporaryDirectory(), 'missing', 'file');
  await expect(openOwnFile(path, undefined)).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(readFile(path)).rejects.toThrow('ENOENT');
});
