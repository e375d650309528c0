import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { requireProgram } from '../../support/require-program.ts';
import { TarTreeInspector } from '../../../src/inspect/tar-tree.ts';
import {
  digestOfDisk,
  fillWithEverything,
  isRoot,
  listDisk,
  pack,
  setMtime,
  scratch,
  tar,
} from '../../support/file-tree.ts';

/** The member names of an archive, as GNU tar lists them. */
function members(archive: Buffer): string[] {
  return tar(['-tf', '-'], archive).trimEnd().split('\n');
}

describe('a tree with one of everything', () => {
  test.each(['C.UTF-8', 'C'])('is extracted by GNU tar under %s as it was', (locale) => {
    using home = scratch();
    const top = join(home.path, 'tree');
    const out = join(home.path, 'out');
    fs.mkdirSync(top);
    fs.mkdirSync(out);
    fillWithEverything(top);
    const before = listDisk(top, 'tree');
    const { archive, remarks } = pack({ roots: [{ path: top, as: 'tree' }] });
    expect(remarks).toEqual({ changed: [], incomplete: [] });
    tar(['-xpf', '-', '-C', out], archive, { LC_ALL: locale });
    expect(listDisk(join(out, 'tree'), 'tree')).toEqual(before);
  });

  test('is extracted by bsdtar as it was', () => {
    requireProgram('bsdtar', 'libarchive-tools');
    using home = scratch();
    const top = join(home.path, 'tree');
    const out = join(home.path, 'out');
    fs.mkdirSync(top);
    fs.mkdirSync(out);
    fillWithEverything(top);
    const before = listDisk(top, 'tree');
    const { archive } = pack({ roots: [{ path: top, as: 'tree' }] });
    const env = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' };
    execFileSync('bsdtar', ['-xpf', '-', '-C', out], { input: archive, env });
    expect(listDisk(join(out, 'tree'), 'tree')).toEqual(before);
    const listed = execFileSync('bsdtar', ['-tf', '-'], { input: archive, env, encoding: 'latin1' });
    expect(listed.trimEnd().split('\n')).toHaveLength(before.length);
  });

  test('has no difference for tar --compare', () => {
    using home = scratch();
    const top = join(home.path, 'tree');
    fs.mkdirSync(top);
    fillWithEverything(top);
    // The fraction of a time before 1970 beside a pax header: bsdtar would extract it a second off.
    fs.rmSync(join(top, 'tíme-3'));
    setMtime(top, '@1234567890');
    const { archive } = pack({ roots: [{ path: top, as: 'tree' }] });
    expect(tar(['-df', '-', '-C', home.path], archive)).toBe('');
  });

  test('has contents that can be recomputed from the disk', async () => {
    using home = scratch();
    fillWithEverything(home.path);
    const disk = listDisk(home.path, 'a name');
    const { archive } = pack({ roots: [{ path: home.path, as: 'a name' }] });
    const inspector = new TarTreeInspector();
    inspector.write(archive);
    const firsts = disk.filter(({ path, first }) => path === first);
    expect(await inspector.end()).toEqual({
      entries: disk.length,
      bytes: firsts.reduce((sum, { size }) => sum + size, 0),
      digest: digestOfDisk(disk),
      changed: [],
      incomplete: [],
    });
  });

  test('is the same archive whatever the size of the chunks', () => {
    using home = scratch();
    fillWithEverything(home.path);
    const roots = [{ path: home.path, as: 'tree' }];
    expect(pack({ roots }, 65_536).archive.equals(pack({ roots }).archive)).toBe(true);
  });
});

test('entries come depth first, by the bytes of their names, below each directory as configured', () => {
  using home = scratch();
  for (const directory of ['second/é', 'second/z/inner', 'first/a.b', 'first/a']) {
    fs.mkdirSync(join(home.path, directory), { recursive: true });
  }
  for (const file of ['second/Z', 'second/zz', 'second/z/inner/f', 'first/a/f', 'first/a-b', 'first/a.b/f']) {
    fs.writeFileSync(join(home.path, file), '');
  }
  const { archive } = pack({
    roots: [
      { path: join(home.path, 'second'), as: 'ä' },
      { path: join(home.path, 'first'), as: 'first' },
    ],
  });
  expect(tar(['-tf', '-', '--quoting-style=literal'], archive).trimEnd().split('\n')).toEqual(
    ['ä/', 'ä/Z', 'ä/z/', 'ä/z/inner/', 'ä/z/inner/f', 'ä/zz', 'ä/é/']
      .map((name) => Buffer.from(name).toString('latin1'))
      .concat(['first/', 'first/a/', 'first/a/f', 'first/a-b', 'first/a.b/', 'first/a.b/f']),
  );
});

test('the archive ends with zero blocks, padded to a record of 10,240 bytes', () => {
  using home = scratch();
  for (const size of [0, 7_168, 7_680, 8_192]) {
    fs.writeFileSync(join(home.path, 'file'), Buffer.alloc(size, 1));
    const { archive } = pack({ roots: [{ path: home.path, as: 'top' }] });
    expect(archive.length % 10_240).toBe(0);
    expect(archive.subarray(2 * 512 + size).every((byte) => byte === 0)).toBe(true);
    expect(archive.length - (2 * 512 + size)).toBeGreaterThanOrEqual(1_024);
  }
});

test('a configured directory that is a symbolic link is archived as the directory it leads to', () => {
  using home = scratch();
  fs.mkdirSync(join(home.path, 'real'));
  fs.writeFileSync(join(home.path, 'real/file'), 'data');
  fs.symlinkSync('real', join(home.path, 'link'));
  const { archive } = pack({ roots: [{ path: join(home.path, 'link'), as: 'link' }] });
  expect(members(archive)).toEqual(['link/', 'link/file']);
});

test('excluded entries are left out and excluded directories not descended into', () => {
  using home = scratch();
  for (const directory of ['cache/deep', 'src/cache', 'src/node_modules/x']) {
    fs.mkdirSync(join(home.path, directory), { recursive: true });
  }
  for (const file of [
    'a.tmp',
    'cache/deep/keep',
    'src/b.tmp',
    'src/cache/f',
    'src/main.c',
    'src/node_modules/x/y',
  ]) {
    fs.writeFileSync(join(home.path, file), '');
  }
  const { archive } = pack({
    roots: [{ path: home.path, as: 'top' }],
    exclude: ['*.tmp', '/cache', 'node_modules/'],
  });
  expect(members(archive)).toEqual([
    'top/',
    'top/src/',
    'top/src/cache/',
    'top/src/cache/f',
    'top/src/main.c',
  ]);
});

test('directories to leave out are met by what they are, and are in no archive, and in no remark', () => {
  using home = scratch();
  for (const directory of ['tree/a/files', 'tree/b/files', 'elsewhere']) {
    fs.mkdirSync(join(home.path, directory), { recursive: true });
  }
  fs.writeFileSync(join(home.path, 'tree/a/files/archive'), '');
  fs.symlinkSync(join(home.path, 'tree/a'), join(home.path, 'elsewhere/alias'));
  fs.symlinkSync('a', join(home.path, 'tree/link'));
  const { archive, remarks } = pack({
    roots: [{ path: join(home.path, 'tree'), as: 'top' }],
    leaveOut: [join(home.path, 'elsewhere/alias'), join(home.path, 'not-there')],
  });
  // A link to it is an entry like any other: it holds nothing of what it leads to.
  expect(members(archive)).toEqual(['top/', 'top/b/', 'top/b/files/', 'top/link']);
  expect(remarks).toEqual({ changed: [], incomplete: [] });
});

test('a socket is not archived and remarked as changed', async () => {
  using home = scratch();
  const server = createServer().listen(join(home.path, 'socket'));
  await once(server, 'listening');
  try {
    const { archive, remarks } = pack({ roots: [{ path: home.path, as: 'top' }] });
    expect(members(archive)).toEqual(['top/']);
    expect(remarks).toEqual({
      changed: [{ path: 'top/socket', reason: 'socket: not archived' }],
      incomplete: [],
    });
  } finally {
    server.close();
  }
});

test('a device node is archived with its numbers', () => {
  // Nodes can be made by root alone; /dev of the machine always has this one.
  const { archive } = pack({ roots: [{ path: '/dev', as: 'dev' }], exclude: ['!(null)'] });
  expect(tar(['-tvf', '-'], archive)).toMatch(/^crw\S* .* 1,3 .* dev\/null$/m);
});

test('owners have their names, and numbers where nothing names them', () => {
  using home = scratch();
  fs.writeFileSync(join(home.path, 'file'), '');
  if (isRoot) fs.chownSync(join(home.path, 'file'), 3_000_000, 4_000_000);
  const { archive } = pack({ roots: [{ path: home.path, as: 'top' }] });
  const me = execFileSync('id', ['-un'], { encoding: 'utf8' }).trim();
  const group = execFileSync('id', ['-gn'], { encoding: 'utf8' }).trim();
  const [top, file] = tar(['-tvf', '-'], archive).split('\n');
  expect(top).toContain(` ${me}/${group} `);
  expect(file).toContain(isRoot ? ' 3000000/4000000 ' : ` ${me}/${group} `);
});

test('a root that is gone ends the archive with SOURCE_MISSING', () => {
  using home = scratch();
  fs.writeFileSync(join(home.path, 'file'), '');
  for (const name of ['missing', 'file', 'file/below']) {
    const path = join(home.path, name);
    expect(() => pack({ roots: [{ path, as: 'top' }] })).toThrow(
      expect.objectContaining({ code: 'SOURCE_MISSING', path }),
    );
  }
});
