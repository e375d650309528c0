import { describe, expect, test } from 'vitest';
import { type TarEntry, TarReader } from '../../../src/formats/tar/tar-reader.ts';

function octal(value: number, digits: number): string {
  return `${value.toString(8).padStart(digits, '0')}\0`;
}

/** A header block with its data, by hand. */
function block(
  flag: string,
  name: string,
  data = '',
  change: (header: Buffer) => void = () => undefined,
): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0, 'latin1');
  header.write(octal(0o644, 7), 100, 'latin1');
  header.write(octal(data.length, 11), 124, 'latin1');
  header.write(octal(1_000, 11), 136, 'latin1');
  header.write(flag, 156, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  change(header);
  header.write('        ', 148, 'latin1');
  header.write(
    `${octal(
      header.reduce((total, byte) => total + byte, 0),
      6,
    )} `,
    148,
    'latin1',
  );
  const padding = Buffer.alloc((512 - (data.length % 512)) % 512);
  return Buffer.concat([header, Buffer.from(data, 'latin1'), padding]);
}

function pax(...records: [key: string, value: string][]): string {
  return records
    .map(([key, value]) => {
      const rest = ` ${key}=${value}\n`;
      const length = [2, 3]
        .map((digits) => digits + rest.length)
        .find((sum) => String(sum).length + rest.length === sum);
      return `${length ?? rest.length + 1}${rest}`;
    })
    .join('');
}

type Read = Omit<TarEntry, 'path' | 'link'> & { path: string; link: string; data: string };

function read(...blocks: Buffer[]): Read[] {
  const found: Read[] = [];
  let data = '';
  let current: TarEntry | undefined;
  const reader = new TarReader({
    entry: (entry) => {
      current = entry;
      data = '';
    },
    data: (piece) => {
      data += piece.toString('latin1');
    },
    entryEnd: () => {
      if (current === undefined) return;
      const { path, link } = current;
      found.push({ ...current, path: path.toString('latin1'), link: link.toString('latin1'), data });
    },
  });
  reader.write(Buffer.concat([...blocks, Buffer.alloc(1_024)]));
  reader.end();
  return found;
}

describe('extended headers', () => {
  test('pax attributes hold for one entry and go before the header and GNU long names', () => {
    const entries = read(
      block('L', '././@LongLink', 'long name\0'),
      block('x', 'PaxHeader', pax(['path', 'a\nb=c'], ['mtime', '-1.5'], ['comment', 'no matter'])),
      block('0', 'short', 'data'),
      block('0', 'next'),
    );
    expect(entries).toMatchObject([
      { path: 'a\nb=c', mtime_s: -2n, data: 'data' },
      { path: 'next', mtime_s: 1_000 },
    ]);
  });

  test('pax size goes before that of the header', () => {
    const large = block('0', 'file', 'data', (header) => header.write(octal(0, 11), 124, 'latin1'));
    expect(read(block('x', 'PaxHeader', pax(['size', '4'])), large)).toMatchObject([
      { size: 4, data: 'data' },
    ]);
  });

  test('global attributes hold until they are overridden or taken back', () => {
    const entries = read(
      block('g', 'global', pax(['mtime', '5'])),
      block('0', 'a'),
      block('x', 'PaxHeader', pax(['mtime', '6'])),
      block('0', 'b'),
      block('0', 'c'),
      block('g', 'global', pax(['mtime', ''])),
      block('0', 'd'),
    );
    expect(entries.map(({ mtime_s }) => Number(mtime_s))).toEqual([5, 6, 5, 1_000]);
  });

  test('an empty value in a pax header gives the one of the header block back', () => {
    const entries = read(
      block('g', 'global', pax(['mtime', '5'])),
      block('x', 'PaxHeader', pax(['mtime', ''])),
      block('0', 'a'),
    );
    expect(Number(entries[0]?.mtime_s)).toBe(1_000);
  });

  test('GNU long names and links hold for one entry', () => {
    const entries = read(
      block('K', '././@LongLink', `${'t'.repeat(600)}\0`),
      block('L', '././@LongLink', `${'\xff'.repeat(600)}\0`),
      block('2', 'short', '', (header) => header.write('target', 157, 'latin1')),
      block('2', 'short', '', (header) => header.write('target', 157, 'latin1')),
    );
    expect(entries).toMatchObject([
      { path: '\xff'.repeat(600), link: 't'.repeat(600), type: 'symlink' },
      { path: 'short', link: 'target' },
    ]);
  });
});

test('headers without the entry that they belong to are ARCHIVE_CORRUPT', () => {
  for (const meta of [block('x', 'PaxHeader', pax(['path', 'a'])), block('L', '././@LongLink', 'a\0')]) {
    expect(() => read(block('0', 'file'), meta)).toThrow(
      expect.objectContaining({ code: 'ARCHIVE_CORRUPT' }),
    );
  }
});

describe('owners', () => {
  const owned = (header: Buffer) => {
    header.write(octal(1_000, 7), 108, 'latin1');
    header.write(octal(50, 7), 116, 'latin1');
    header.write('ann\xe9', 265, 'latin1');
    header.write('g'.repeat(32), 297, 'latin1');
  };

  test('are numbers and the bytes of names', () => {
    expect(read(block('0', 'file', '', owned), block('0', 'other'))).toMatchObject([
      { uid: 1_000, gid: 50, uname: Buffer.from('ann\xe9', 'latin1'), gname: Buffer.from('g'.repeat(32)) },
      { uid: 0, gid: 0, uname: Buffer.alloc(0), gname: Buffer.alloc(0) },
    ]);
  });

  test('are those of each entry, whoever had the entry before it', () => {
    const names = ['ann', 'anna', 'ann', 'bob', '', 'bob', 'n'.repeat(32), 'n'.repeat(31)];
    const blocks = names.map((name) =>
      block('0', 'file', '', (header) => {
        header.write(name, 265, 'latin1');
        header.write(name.toUpperCase(), 297, 'latin1');
      }),
    );
    expect(read(...blocks).map(({ uname, gname }) => [uname, gname].join(' '))).toEqual(
      names.map((name) => `${name} ${name.toUpperCase()}`),
    );
  });

  test('have names in the old GNU format, and none before it', () => {
    const formats = ['ustar  \0', '\0\0\0\0\0\0\0\0'].map((magic) =>
      block('0', 'file', '', (header) => {
        owned(header);
        header.write(magic, 257, 'latin1');
      }),
    );
    expect(read(...formats).map(({ uname }) => uname.length)).toEqual([4, 0]);
  });

  test('may be larger than octal numbers, as base-256 and in pax headers', () => {
    const large = (header: Buffer) => {
      Buffer.from([0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xfe]).copy(header, 108);
    };
    const records = pax(['uid', '4000000'], ['gid', '5000000'], ['uname', 'zoë'], ['gname', '']);
    expect(
      read(block('0', 'a', '', large), block('x', 'PaxHeader', records), block('0', 'b', '', owned)),
    ).toMatchObject([
      { uid: 4_294_967_294 },
      {
        uid: 4_000_000,
        gid: 5_000_000,
        uname: Buffer.from('zo\xeb', 'latin1'),
        gname: Buffer.from('g'.repeat(32)),
      },
    ]);
  });

  test('that are no numbers are ARCHIVE_CORRUPT', () => {
    const odd = block('0', 'a', '', (header) => header.write('someone', 108, 'latin1'));
    const oddPax = [block('x', 'PaxHeader', pax(['uid', '-1'])), block('0', 'a')];
    for (const blocks of [[odd], oddPax]) {
      expect(() => read(...blocks)).toThrow(expect.objectContaining({ code: 'ARCHIVE_CORRUPT' }));
    }
  });
});

describe('header blocks', () => {
  test('the prefix counts in ustar, and not in the old GNU format, which has times there', () => {
    const prefixed = (header: Buffer) => header.write('prefix', 345, 'latin1');
    const oldGnu = (header: Buffer) => {
      prefixed(header);
      header.write('ustar  \0', 257, 'latin1');
    };
    const entries = read(block('0', 'name', '', prefixed), block('0', 'name', '', oldGnu));
    expect(entries.map(({ path }) => path)).toEqual(['prefix/name', 'name']);
  });

  test('a file whose name ends in a slash is a directory, and slashes at the end are no part of a path', () => {
    const entries = read(block('0', 'old/'), block('5', 'new//'), block('5', '/'));
    expect(entries).toMatchObject([
      { path: 'old', type: 'directory' },
      { path: 'new', type: 'directory' },
      { path: '/', type: 'directory' },
    ]);
  });

  test('numbers in base-256 are read, negative ones too', () => {
    const withTime = (...bytes: number[]) =>
      block('0', 'file', '', (header) => Buffer.from(bytes).copy(header, 136));
    const entries = read(
      withTime(0x80, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0),
      withTime(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe),
    );
    expect(entries.map(({ mtime_s }) => mtime_s)).toEqual([2n ** 33n, -2n]);
  });

  test('only files have data, whatever size another entry states', () => {
    const sized = (header: Buffer) => header.write(octal(7, 11), 124, 'latin1');
    const entries = read(
      block('5', 'directory', '', sized),
      block('1', 'link', '', sized),
      block('7', 'file', 'abc'),
    );
    expect(entries).toMatchObject([
      { type: 'directory', size: 0 },
      { type: 'link', size: 0 },
      { type: 'file', size: 3, data: 'abc' },
    ]);
  });
});
