import * as fs from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { Header } from 'tar/header';
import { describe, expect, test } from 'vitest';
import { type TarEntry as ReadEntry, TarReader } from '../../../src/formats/tar/tar-reader.ts';
import { MAX_HEADER_BYTES, type TarEntry, TarHeaderWriter } from '../../../src/sources/files/tar-header.ts';
import { scratch, tar } from '../../support/file-tree.ts';

const ENTRY: TarEntry = {
  type: 'File',
  path: 'top/file',
  link: '',
  mode: 0o100644,
  uid: 0,
  gid: 0,
  user: 'root',
  group: 'root',
  size: 0,
  mtime_ns: 1_700_000_000_000_000_000n,
  deviceMajor: 0,
  deviceMinor: 0,
};

function encode(entry: Partial<TarEntry>): Buffer {
  const out = Buffer.alloc(MAX_HEADER_BYTES, 0xaa);
  return out.subarray(0, new TarHeaderWriter().write(out, 0, { ...ENTRY, ...entry }));
}

/** How the project's own reader understands the headers of one entry. */
function readBack(headers: Buffer): ReadEntry | undefined {
  let found: ReadEntry | undefined;
  const reader = new TarReader({
    entry: (entry) => {
      found = entry;
    },
    data: () => undefined,
    entryEnd: () => undefined,
  });
  reader.write(headers);
  return found;
}

test('a size over 8 GiB is read by GNU tar', () => {
  using home = scratch();
  const archive = join(home.path, 'huge.tar');
  const size = 9 * 1024 ** 3 + 512;
  const headers = encode({ size });
  // Sparse: the data is a hole that GNU tar seeks over.
  fs.writeFileSync(archive, headers);
  fs.truncateSync(archive, headers.length + size + 1_024);
  expect(tar(['-tvf', archive])).toMatch(new RegExp(` ${size} .* top/file\n$`));
  expect(readBack(headers)?.size).toBe(size);
});

test('what fits the plain header has no other: one block', () => {
  expect(encode({ path: 'a'.repeat(100) })).toHaveLength(512);
  expect(encode({ path: `${'p'.repeat(155)}/${'n'.repeat(100)}` })).toHaveLength(512);
  expect(encode({ path: `${'p'.repeat(155)}/${'n'.repeat(99)}`, type: 'Directory' })).toHaveLength(512);
  expect(encode({ path: '\xff'.repeat(100), link: '\xfe'.repeat(100), type: 'SymbolicLink' })).toHaveLength(
    512,
  );
});

test('the slash that ends a directory does not divide prefix and name: the name would be empty', () => {
  const headers = encode({ path: 'd'.repeat(120), type: 'Directory' });
  expect(headers).toHaveLength(3 * 512);
  expect(headers[2 * 512]).toBe('d'.charCodeAt(0));
});

test('the longest paths that a system call takes stay within the room kept for headers', () => {
  const longest = `${'long/'.repeat(870)}é`;
  for (const path of [Buffer.from(longest).toString('latin1'), longest]) {
    const headers = encode({ path, link: path, type: 'Link', mtime_ns: -1n });
    expect(readBack(headers)?.path.toString('latin1')).toBe(path);
    expect(readBack(headers)?.link.toString('latin1')).toBe(path);
  }
});

test('the lengths of pax records count their own digits', () => {
  for (const length of [
    1, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89, 90, 983, 984, 985, 986, 987, 988, 989, 990,
  ]) {
    const path = `\xc3\xa9${'x'.repeat(length)}`;
    expect(readBack(encode({ path }))?.path.toString('latin1')).toBe(path);
  }
});

describe('whatever the name', () => {
  const byte = fc.integer({ min: 1, max: 255 }).filter((value) => value !== 0x2f);
  const component = fc
    .array(byte, { minLength: 1, maxLength: 255 })
    .map((bytes) => Buffer.from(bytes).toString('latin1'));
  const utf8 = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 120 })
    .map((text) => Buffer.from(text.replaceAll(/[/\0]/g, '_')).toString('latin1'));
  const rawPath = fc
    .array(fc.oneof(component, utf8), { minLength: 1, maxLength: 6 })
    .map((parts) => parts.join('/'));

  test('the bytes of path and link come back', () => {
    fc.assert(
      fc.property(
        rawPath,
        rawPath,
        fc.constantFrom('SymbolicLink' as const, 'Link' as const),
        (path, link, type) => {
          const read = readBack(encode({ path, link, type }));
          expect(read?.path.toString('latin1')).toBe(path);
          expect(read?.link.toString('latin1')).toBe(link);
        },
      ),
    );
  });

  test('a directory comes back without the slash that its header has', () => {
    fc.assert(
      fc.property(rawPath, (path) => {
        const read = readBack(encode({ path, type: 'Directory' }));
        expect(read?.type).toBe('directory');
        expect(read?.path.toString('latin1')).toBe(path);
      }),
    );
  });
});

test('whole seconds are rounded towards the past, whatever the time', () => {
  const limit = 8_640_000_000_000n;
  fc.assert(
    fc.property(
      fc.bigInt({ min: -limit, max: limit }),
      fc.bigInt({ min: 0n, max: 999_999_999n }),
      fc.constantFrom('plain', 'p\xc3\xa1x'),
      (seconds, fraction, path) => {
        const mtime_ns = seconds * 1_000_000_000n + fraction;
        expect(BigInt(readBack(encode({ path, mtime_ns }))?.mtime_s ?? 0)).toBe(seconds);
      },
    ),
  );
});

/** What the `Header` of the npm package makes of an entry, whose path and link it can write. */
function byHeader({ type, path, link, mode, user, group, mtime_ns, ...entry }: TarEntry): Buffer {
  const header = new Header();
  header.type = type;
  header.path = type === 'Directory' ? `${path}/` : path;
  header.linkpath = link;
  header.mode = mode & 0o7777;
  header.uid = entry.uid;
  header.gid = entry.gid;
  header.uname = user;
  header.gname = group;
  header.size = entry.size;
  header.mtime = new Date(Number(mtime_ns / 1_000_000_000n) * 1_000);
  header.devmaj = entry.deviceMajor;
  header.devmin = entry.deviceMinor;
  const block = Buffer.alloc(512);
  header.encode(block);
  return block;
}

/** The checksum stands in it in one of several usual ways: the reader compares it with the block. */
function withoutChecksum(block: Buffer): string {
  return block.toString('latin1', 0, 148) + block.toString('latin1', 156);
}

test('entries one after another are what the package makes of each: size, time and attributes', () => {
  const number = (most: number, ...edges: number[]) =>
    fc.oneof(fc.integer({ min: 0, max: most }), fc.constantFrom(0, most, ...edges));
  const entry: fc.Arbitrary<TarEntry> = fc.record({
    type: fc.constantFrom('File', 'File', 'Directory', 'SymbolicLink', 'CharacterDevice'),
    path: fc.stringMatching(/^[a-z]{1,99}$/),
    link: fc.constantFrom('', 'a/target'),
    mode: fc.constantFrom(0o100644, 0o100755, 0o104755, 0),
    uid: number(0o7777777, 1_000),
    gid: fc.constantFrom(0, 50, 5_000_000),
    user: fc.constantFrom('root', '', 'backup'),
    group: fc.constantFrom('root', '', 'staff'),
    size: number(2 ** 34, 8 ** 10 - 1, 8 ** 10, 8 ** 11 - 1, 8 ** 11),
    mtime_ns: number(8_640_000_000_000, 8 ** 10 - 1, 8 ** 10, 8 ** 11 - 1, 8 ** 11).map(
      (seconds) => BigInt(seconds) * 1_000_000_000n,
    ),
    deviceMajor: fc.constantFrom(0, 8),
    deviceMinor: fc.constantFrom(0, 1),
  });
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 12 }), (entries) => {
      const writer = new TarHeaderWriter();
      for (const each of entries) {
        const out = Buffer.alloc(MAX_HEADER_BYTES, 0xaa);
        const block = out.subarray(0, writer.write(out, 0, each));
        expect(withoutChecksum(block)).toBe(withoutChecksum(byHeader(each)));
        expect(readBack(block)?.path.toString('latin1')).toBe(each.path);
      }
    }),
  );
});

test.each([
  { mode: 0o100755 },
  { uid: 1 },
  { gid: 1 },
  { user: 'somebody' },
  { group: 'staff' },
  { deviceMajor: 8 },
  { deviceMinor: 1 },
  { type: 'SymbolicLink' as const },
])('an entry that differs from the one before it in one attribute has its own: %j', (change) => {
  const writer = new TarHeaderWriter();
  for (const entry of [ENTRY, { ...ENTRY, ...change }, ENTRY]) {
    const out = Buffer.alloc(MAX_HEADER_BYTES);
    const block = out.subarray(0, writer.write(out, 0, entry));
    expect(withoutChecksum(block)).toBe(withoutChecksum(byHeader(entry)));
  }
});
