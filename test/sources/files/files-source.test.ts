import { once } from 'node:events';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TarTreeInspector } from '../../../src/inspect/tar-tree.ts';
import { FilesSource } from '../../../src/sources/files/files-source.ts';
import { findUnreadable } from '../../../src/sources/files/find-unreadable.ts';
import { digestOfDisk, fillWithEverything, listDisk, scratch } from '../../support/file-tree.ts';

const signal = new AbortController().signal;

let home: ReturnType<typeof scratch>;
beforeEach(() => {
  home = scratch();
});
afterEach(() => {
  home[Symbol.dispose]();
});

function source(directories: { path: string; as?: string }[], leaveOut: string[] = []): FilesSource {
  return new FilesSource({ name: 'files', directories, exclude: [], leaveOut });
}

describe('capture', () => {
  test('gives one archive of all directories, its facts, and remarks once it has ended', async () => {
    const [one, two] = [join(home.path, 'one'), join(home.path, 'two')];
    fs.mkdirSync(one);
    fs.mkdirSync(join(two, 'uploads'), { recursive: true });
    fillWithEverything(one);
    const capture = await source([{ path: join(two, 'uploads') }, { path: one, as: 'Ünïcode' }]).capture(
      signal,
    );
    expect(capture.facts).toEqual({
      directories: ['uploads', 'Ünïcode'],
      roots: [
        { name: 'uploads', path: join(two, 'uploads') },
        { name: 'Ünïcode', path: one },
      ],
    });
    const inspector = new TarTreeInspector();
    for await (const chunk of capture.stream) inspector.write(chunk);
    const disk = [...listDisk(join(two, 'uploads'), 'uploads'), ...listDisk(one, 'Ünïcode')];
    expect(await inspector.end()).toMatchObject({ entries: disk.length, digest: digestOfDisk(disk) });
    expect(capture.remarks()).toEqual({ changed: [], incomplete: [] });
  });

  test('throws SOURCE_MISSING at once when a directory is not there, and with the stream when it went', async () => {
    const path = join(home.path, 'gone');
    await expect(source([{ path: home.path }, { path }]).capture(signal)).rejects.toMatchObject({
      code: 'SOURCE_MISSING',
      path,
    });
    fs.mkdirSync(path);
    const capture = await source([{ path }]).capture(signal);
    fs.rmdirSync(path);
    const reading = capture.stream[Symbol.asyncIterator]();
    await expect(reading.next()).rejects.toMatchObject({ code: 'SOURCE_MISSING', path });
  });

  test('hands the remarks over', async () => {
    const server = createServer().listen(join(home.path, 'socket'));
    await once(server, 'listening');
    const capture = await source([{ path: home.path, as: 'top' }]).capture(signal);
    let bytes = 0;
    for await (const chunk of capture.stream) bytes += chunk.length;
    server.close();
    expect(bytes).toBe(10_240);
    expect(capture.remarks().changed).toEqual([{ path: 'top/socket', reason: 'socket: not archived' }]);
  });
});

describe('preflight', () => {
  test('finds every directory that is missing or none, at once', async () => {
    fs.writeFileSync(join(home.path, 'file'), '');
    const findings = await source([
      { path: home.path },
      { path: join(home.path, 'missing') },
      { path: join(home.path, 'file') },
    ]).preflight(signal);
    expect(findings).toMatchObject([
      { severity: 'error', code: 'SOURCE_MISSING', path: join(home.path, 'missing') },
      { severity: 'error', code: 'SOURCE_MISSING', path: join(home.path, 'file') },
    ]);
    for (const { hint } of findings) expect(hint).not.toBe('');
  });

  test('finds nothing where all is well, a symbolic link to a directory included', async () => {
    fs.mkdirSync(join(home.path, 'real'));
    fs.symlinkSync('real', join(home.path, 'link'));
    expect(await source([{ path: home.path }, { path: join(home.path, 'link') }]).preflight(signal)).toEqual(
      [],
    );
  });
});

test('a directory that is to be left out itself is refused, by whatever name, rather than backed up as nothing', async () => {
  const location = join(home.path, 'location');
  const alias = join(home.path, 'alias');
  fs.mkdirSync(location);
  fs.symlinkSync('location', alias);
  const ofItself = source([{ path: home.path, as: 'home' }, { path: alias }], [location]);
  expect(await ofItself.preflight(signal)).toMatchObject([
    { severity: 'error', code: 'CONFIG_INVALID', path: alias },
  ]);
  await expect(ofItself.capture(signal)).rejects.toMatchObject({ code: 'CONFIG_INVALID', path: alias });
});

describe('member names', () => {
  test('two directories of one base name are refused until one is given another name', () => {
    const directories = [{ path: '/srv/a/data' }, { path: '/srv/b/data/' }];
    expect(() => source(directories)).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        path: '/srv/b/data',
        hint: expect.stringContaining('"as"'),
      }),
    );
    expect(() => source([{ path: '/srv/a/data' }, { path: '/srv/b/data/', as: 'other' }])).not.toThrow();
  });

  test.each(['', '.', '..', 'a/b', 'a\0', 'x'.repeat(256)])('%j is refused', (as) => {
    expect(() => source([{ path: '/srv', as }])).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
  });

  test('the root directory has no base name and needs one', () => {
    expect(() => source([{ path: '/' }])).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    expect(() => source([{ path: '/', as: 'system' }])).not.toThrow();
  });
});

describe('findUnreadable', () => {
  test('is silent where everything can be read, and where a directory is missing', async () => {
    fillWithEverything(home.path);
    const missing = join(home.path, 'missing');
    expect(await source([{ path: home.path }, { path: missing }]).survey(signal)).toEqual([]);
  });

  test('stops when it is cancelled', async () => {
    await expect(
      findUnreadable(
        { roots: [{ path: '/', as: 'all' }], exclude: [], leaveOut: [] },
        AbortSignal.timeout(50),
      ),
    ).rejects.toMatchObject({
      name: 'TimeoutError',
    });
  });
});
