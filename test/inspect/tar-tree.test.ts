import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { FilesContents } from '../../src/domain/manifest.ts';
import { TarTreeInspector } from '../../src/inspect/tar-tree.ts';
import {
  digestOfDisk,
  fillWithEverything,
  listDisk,
  pack,
  scratch,
  setMtime,
  tar,
} from '../support/file-tree.ts';

async function inspect(archive: Buffer, cuts: number[] = []): Promise<FilesContents> {
  const inspector = new TarTreeInspector();
  let from = 0;
  for (const cut of [...cuts.sort((a, b) => a - b), archive.length]) {
    inspector.write(archive.subarray(from, cut));
    from = cut;
  }
  return inspector.end();
}

/** The path of a member as GNU tar may hold it in any of its formats: short, ASCII, whole seconds. */
function fillModestly(top: string): void {
  fs.mkdirSync(join(top, 'sub/empty'), { recursive: true });
  fs.writeFileSync(join(top, 'file'), randomBytes(70_000));
  fs.writeFileSync(join(top, 'sub/none'), '');
  fs.symlinkSync('../file', join(top, 'sub/link'));
  fs.linkSync(join(top, 'file'), join(top, 'sub/hard'));
  fs.chmodSync(join(top, 'file'), 0o4755);
}

/** Some entries of each header kind, small. */
function smallArchive(): Buffer {
  using home = scratch();
  const at = (name: string): string => join(home.path, name);
  fs.writeFileSync(at('file'), 'some data\n');
  fs.writeFileSync(at('ação'), Buffer.alloc(700, 7));
  fs.writeFileSync(at('n'.repeat(120)), '');
  fs.symlinkSync('nowhere', at('link'));
  fs.writeFileSync(Buffer.from(`${home.path}/\xff${'r'.repeat(130)}`, 'latin1'), 'raw');
  setMtime(at('file'), '@-5');
  return pack({ roots: [{ path: home.path, as: 'top' }] }).archive;
}

/** Where the archive ends and its end mark begins. */
function endOfEntries(archive: Buffer): number {
  let end = archive.length;
  while (archive.subarray(end - 512, end).every((byte) => byte === 0)) end -= 512;
  return end;
}

/** A header of an archive with the checksum made right again after a change. */
function reseal(archive: Buffer, at = 0): Buffer {
  archive.write('        ', at + 148, 'latin1');
  const sum = archive.subarray(at, at + 512).reduce((total, byte) => total + byte, 0);
  archive.write(`${sum.toString(8).padStart(6, '0')}\0 `, at + 148, 'latin1');
  return archive;
}

describe('the digest is that of what lies on disk', () => {
  test.each(['v7', 'ustar', 'oldgnu', 'gnu', 'posix'])(
    'for an archive of GNU tar in format %s',
    async (format) => {
      using home = scratch();
      fs.mkdirSync(join(home.path, 'top'));
      fillModestly(join(home.path, 'top'));
      const archive = join(home.path, 'archive.tar');
      tar(['-cf', archive, '--sort=name', `--format=${format}`, '-C', home.path, 'top']);
      const disk = listDisk(join(home.path, 'top'), 'top');
      expect(await inspect(fs.readFileSync(archive))).toMatchObject({
        entries: disk.length,
        bytes: 70_000,
        digest: digestOfDisk(disk),
      });
    },
  );

  // The older formats cannot hold every name.
  test.each(['gnu', 'posix'])('for one of everything, archived by GNU tar in format %s', async (format) => {
    using home = scratch();
    fs.mkdirSync(join(home.path, 'top'));
    fillWithEverything(join(home.path, 'top'));
    const archive = join(home.path, 'archive.tar');
    tar(['-cf', archive, '--sort=name', `--format=${format}`, '-C', home.path, 'top'], undefined, {
      LC_ALL: 'C',
    });
    const disk = listDisk(join(home.path, 'top'), 'top');
    expect(await inspect(fs.readFileSync(archive))).toMatchObject({
      entries: disk.length,
      digest: digestOfDisk(disk),
    });
  });
});

test('many entries and very long paths are in the digest whole', async () => {
  using home = scratch();
  let deep = home.path;
  for (let depth = 0; depth < 13; depth += 1) {
    deep = join(deep, 'd'.repeat(250));
    fs.mkdirSync(deep);
    for (let index = 0; index < 60; index += 1) fs.writeFileSync(join(deep, `${index}`), '');
  }
  const disk = listDisk(home.path, 'top');
  expect(await inspect(pack({ roots: [{ path: home.path, as: 'top' }] }).archive)).toMatchObject({
    entries: disk.length,
    digest: digestOfDisk(disk),
  });
});

test('the boundaries of the chunks make no difference', async () => {
  const archive = smallArchive();
  const whole = await inspect(archive);
  expect(await inspect(archive, Array.from(archive.keys()))).toEqual(whole);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(archive.length), { maxLength: 12 }), async (cuts) => {
      expect(await inspect(archive, cuts)).toEqual(whole);
    }),
  );
});

test.each([
  ['the data of a file', (archive: Buffer) => archive.indexOf('some data')],
  ['a path', (archive: Buffer) => archive.indexOf('top/link')],
  ['the target of a link', (archive: Buffer) => archive.indexOf('nowhere')],
])('another byte in %s is another digest', async (_, find) => {
  const archive = smallArchive();
  const { digest } = await inspect(archive);
  const at = find(archive);
  expect(at).toBeGreaterThan(0);
  archive[at + 3] = 'X'.charCodeAt(0);
  const header = at - (at % 512);
  if (archive.toString('latin1', header + 257, header + 262) === 'ustar') reseal(archive, header);
  expect((await inspect(archive)).digest).not.toBe(digest);
});

describe('what is no whole archive', () => {
  test('nothing at all is DUMP_EMPTY, and so is an archive without entries', async () => {
    await expect(inspect(Buffer.alloc(0))).rejects.toMatchObject({ code: 'DUMP_EMPTY' });
    await expect(inspect(Buffer.alloc(10_240))).rejects.toMatchObject({ code: 'DUMP_EMPTY' });
  });

  test('a cut anywhere before the end mark is noticed', async () => {
    const archive = smallArchive();
    const end = endOfEntries(archive);
    const codes = new Map<string, number>();
    for (let length = 1; length < end + 1_024; length += 1) {
      const error: unknown = await inspect(archive.subarray(0, length)).catch((thrown: unknown) => thrown);
      const { code } = error as { code: string };
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    expect([...codes.keys()].sort()).toEqual(['ARCHIVE_CORRUPT', 'DUMP_TRUNCATED']);
    expect([...codes.values()].reduce((sum, count) => sum + count)).toBe(end + 1_023);
    await expect(inspect(archive.subarray(0, end + 1_024))).resolves.toMatchObject({ entries: 6 });
  });

  test('a cut between entries is DUMP_TRUNCATED, within one ARCHIVE_CORRUPT', async () => {
    const archive = smallArchive();
    const end = endOfEntries(archive);
    await expect(inspect(archive.subarray(0, end))).rejects.toMatchObject({ code: 'DUMP_TRUNCATED' });
    await expect(inspect(archive.subarray(0, end + 512))).rejects.toMatchObject({ code: 'DUMP_TRUNCATED' });
    const partialHeader = Buffer.concat([archive.subarray(0, end), archive.subarray(0, 100)]);
    await expect(inspect(partialHeader)).rejects.toMatchObject({ code: 'ARCHIVE_CORRUPT' });
    await expect(inspect(archive.subarray(0, end - 1))).rejects.toMatchObject({ code: 'ARCHIVE_CORRUPT' });
    // After the pax header of a name, before the entry that it belongs to.
    const name = archive.indexOf('PaxHeader');
    await expect(inspect(archive.subarray(0, name + 1_024))).rejects.toMatchObject({
      code: 'ARCHIVE_CORRUPT',
    });
  });

  test('a flipped bit in a header is ARCHIVE_CORRUPT', async () => {
    const archive = smallArchive();
    await fc.assert(
      fc.asyncProperty(fc.nat(511), fc.nat(7), async (at, bit) => {
        const damaged = Buffer.from(archive);
        damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
        // The checksum's own closing bytes carry nothing.
        fc.pre(at < 154 || at > 155);
        await expect(inspect(damaged)).rejects.toMatchObject({ code: 'ARCHIVE_CORRUPT' });
      }),
    );
  });

  test.each([
    ['random bytes', () => randomBytes(4_096)],
    ['text', () => Buffer.from('-- PostgreSQL database dump\n'.repeat(100))],
    ['bytes after the end mark', () => Buffer.concat([smallArchive(), Buffer.from('more')])],
    ['an entry after a lone zero block', () => Buffer.concat([Buffer.alloc(512), smallArchive()])],
    ['an unknown type of entry', () => reseal(withByte(smallArchive(), 156, 'S'))],
    ['a size that is no number', () => reseal(withByte(smallArchive(), 130, '9'))],
    ['a negative size', () => reseal(withByte(smallArchive(), 124, '\xff'))],
    [
      'an extended header of absurd size',
      () => reseal(withByte(withByte(smallArchive(), 156, 'x'), 126, '7')),
    ],
  ])('%s: ARCHIVE_CORRUPT', async (_, make) => {
    await expect(inspect(Buffer.concat([make(), Buffer.alloc(1_024)]))).rejects.toMatchObject({
      code: 'ARCHIVE_CORRUPT',
    });
  });

  test.each(['x', '5 a=b\n', '99 path=short\n', '0 path=a\n', '10 path=ab', '11 mtime=a\n', '10 size=-1\n'])(
    'a malformed pax record, %j: ARCHIVE_CORRUPT',
    async (record) => {
      const archive = smallArchive();
      const at = archive.indexOf('PaxHeader') + 512;
      archive.fill(0, at, at + 512).write(record, at, 'latin1');
      await expect(inspect(archive)).rejects.toMatchObject({ code: 'ARCHIVE_CORRUPT' });
    },
  );
});

function withByte(archive: Buffer, at: number, character: string): Buffer {
  archive.write(character, at, 'latin1');
  return archive;
}
