import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { TreeEntry } from '../../src/domain/tree-listing.ts';
import { TarTreeLister } from '../../src/inspect/tree-lister.ts';
import { fillWithEverything, listDisk, pack, scratch } from '../support/file-tree.ts';

function list(archive: Buffer, digests = true, chunkBytes = archive.length): TreeEntry[] {
  const entries: TreeEntry[] = [];
  const lister = new TarTreeLister({ onEntry: (entry) => entries.push(entry), digests });
  for (let at = 0; at < archive.length; at += chunkBytes) lister.write(archive.subarray(at, at + chunkBytes));
  lister.end();
  return entries;
}

function readable(entries: readonly TreeEntry[]) {
  return entries.map(({ path, data, mtime_s, ...rest }) => ({
    ...rest,
    path: path.toString('hex'),
    mtime_s: BigInt(mtime_s),
    data: data.toString('hex'),
  }));
}

describe('the lister of a tar', () => {
  test.each([undefined, 509, 65_536])(
    'tells every entry as it lies on disk, in chunks of %s',
    (chunkBytes) => {
      using home = scratch();
      fillWithEverything(home.path);
      const { archive } = pack({ roots: [{ path: home.path, as: 'top' }] });
      const expected = listDisk(home.path, 'top').map((entry) => {
        const isLink = entry.first !== entry.path;
        const type = isLink ? 'link' : entry.type;
        const isData = type === 'file' || type === 'symlink';
        return {
          path: entry.path,
          type,
          mode: Number.parseInt(entry.mode, 8),
          size: isLink ? 0 : entry.size,
          mtime_s: entry.mtime_s,
          data: isLink ? entry.first : isData ? entry.data : '',
        };
      });
      expect(readable(list(archive, true, chunkBytes))).toEqual(expected);
    },
  );

  test('digests nothing where nobody asked for it', () => {
    using home = scratch();
    writeFileSync(join(home.path, 'file'), 'data');
    const { archive } = pack({ roots: [{ path: home.path, as: 'top' }] });
    const [without] = list(archive, false).slice(1);
    const [withDigest] = list(archive).slice(1);
    expect(without?.data).toEqual(Buffer.alloc(0));
    expect(withDigest?.data.toString('hex')).toBe(createHash('sha256').update('data').digest('hex'));
  });

  test('what it told stays as it was when the chunk is used again', () => {
    using home = scratch();
    writeFileSync(join(home.path, 'file'), 'data');
    const { archive } = pack({ roots: [{ path: home.path, as: 'top' }] });
    const entries: TreeEntry[] = [];
    const lister = new TarTreeLister({ onEntry: (entry) => entries.push(entry), digests: true });
    const chunk = Buffer.from(archive);
    lister.write(chunk);
    chunk.fill(0);
    lister.end();
    expect(entries.map(({ path }) => path.toString())).toEqual(['top', 'top/file']);
  });

  test('throws where the archive does not end, and where it is none', () => {
    using home = scratch();
    writeFileSync(join(home.path, 'file'), 'data');
    const { archive } = pack({ roots: [{ path: home.path, as: 'top' }] });
    expect(() => list(archive.subarray(0, 700))).toThrow(
      expect.objectContaining({ code: 'ARCHIVE_CORRUPT' }),
    );
    expect(() => list(archive.subarray(0, 512))).toThrow(expect.objectContaining({ code: 'DUMP_TRUNCATED' }));
    expect(() => list(Buffer.alloc(1024, 'x'))).toThrow(expect.objectContaining({ code: 'ARCHIVE_CORRUPT' }));
  });
});
