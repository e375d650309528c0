import { describe, expect, test } from 'vitest';
import { DirectoryArchiveReader } from '../../../src/formats/dump/directory-archive.ts';
import { readDirectoryHead } from '../../../src/formats/dump/directory-head.ts';
import { directoryTar, type Member } from '../../support/directory-tar.ts';

const TOC = { path: 'app.dir/toc.dat', data: 'toc' };
const TOP = { path: 'app.dir/', flag: '5' };

/** What the reader says of the members: their names, sizes and data, or the code of its error. */
function read(members: readonly Member[], chunkBytes = 1 << 20): string[] | string {
  const said: string[] = [];
  let data = '';
  const reader = new DirectoryArchiveReader({
    file: (name, size) => said.push(`${name} ${size}`),
    data: (piece) => {
      data += piece.toString();
    },
    fileEnd: () => {
      said.push(data);
      data = '';
    },
  });
  const bytes = directoryTar(members);
  try {
    for (let at = 0; at < bytes.length; at += chunkBytes) reader.write(bytes.subarray(at, at + chunkBytes));
    reader.end();
    return said;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('the tar of a dump in the directory format', () => {
  test.each([1, 511, 512, 10_240])('is read in chunks of %i bytes', (chunkBytes) => {
    const members = [
      TOP,
      TOC,
      { path: 'app.dir/12.dat', data: 'x'.repeat(1_000) },
      { path: 'app.dir/13.dat' },
      { path: 'app.dir/blob_5.dat', data: 'y' },
      { path: 'app.dir/blobs.toc', data: '5 blob_5.dat\n' },
      { path: 'app.dir/blobs_77.toc' },
    ];
    expect(read(members, chunkBytes)).toEqual([
      'toc.dat 3',
      'toc',
      '12.dat 1000',
      'x'.repeat(1_000),
      '13.dat 0',
      '',
      'blob_5.dat 1',
      'y',
      'blobs.toc 13',
      '5 blob_5.dat\n',
      'blobs_77.toc 0',
      '',
    ]);
  });

  test.each<[string, Member[], string]>([
    ['no entry', [], 'DUMP_EMPTY'],
    ['no table of contents', [TOP], 'DUMP_EMPTY'],
    ['data before the table of contents', [TOP, { path: 'app.dir/1.dat' }, TOC], 'ARCHIVE_UNSAFE'],
    ['two tables of contents', [TOP, TOC, TOC], 'ARCHIVE_UNSAFE'],
    ['no directory', [TOC], 'ARCHIVE_UNSAFE'],
    ['a directory above', [{ path: '../', flag: '5' }, TOC], 'ARCHIVE_UNSAFE'],
    ['an absolute directory', [{ path: '/app.dir/', flag: '5' }, TOC], 'ARCHIVE_UNSAFE'],
    ['a directory of another kind', [{ path: 'app/', flag: '5' }, TOC], 'ARCHIVE_UNSAFE'],
    ['a second directory', [TOP, TOC, { path: 'app.dir/more/', flag: '5' }], 'ARCHIVE_UNSAFE'],
    ['a file above', [TOP, TOC, { path: 'app.dir/../1.dat' }], 'ARCHIVE_UNSAFE'],
    ['an absolute file', [TOP, TOC, { path: '/etc/1.dat' }], 'ARCHIVE_UNSAFE'],
    ['a file of another directory', [TOP, TOC, { path: 'bpp.dir/1.dat' }], 'ARCHIVE_UNSAFE'],
    ['a file that pg_dump does not write', [TOP, TOC, { path: 'app.dir/run.sh' }], 'ARCHIVE_UNSAFE'],
    ['a compressed file', [TOP, TOC, { path: 'app.dir/1.dat.gz' }], 'ARCHIVE_UNSAFE'],
    [
      'a symbolic link',
      [TOP, TOC, { path: 'app.dir/1.dat', flag: '2', link: '/etc/passwd' }],
      'ARCHIVE_UNSAFE',
    ],
    [
      'a hard link',
      [TOP, TOC, { path: 'app.dir/1.dat', flag: '1', link: 'app.dir/toc.dat' }],
      'ARCHIVE_UNSAFE',
    ],
    ['a device', [TOP, TOC, { path: 'app.dir/1.dat', flag: '3' }], 'ARCHIVE_UNSAFE'],
  ])('with %s is refused', (_name, members, code) => {
    expect(read(members)).toBe(code);
  });
});

describe('the head of one', () => {
  test('is more than the first bytes, and nothing in other bytes', () => {
    const bytes = directoryTar([TOP, { path: 'app.dir/toc.dat', data: 'PGDMP' }]);
    expect(readDirectoryHead(bytes.subarray(0, 100))).toBe('more');
    expect(readDirectoryHead(bytes.subarray(0, 1_026))).toBe('more');
    expect(readDirectoryHead(Buffer.alloc(512, 'x'))).toBeUndefined();
    expect(readDirectoryHead(directoryTar([TOP, TOC]))).toBeUndefined();
  });
});
