import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import realFs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { CaptureRemarks } from '../../../src/domain/ports.ts';
import { findUnreadable } from '../../../src/sources/files/find-unreadable.ts';
import { packTree } from '../../../src/sources/files/pack.ts';
import { TarReader } from '../../../src/formats/tar/tar-reader.ts';
import { RemarkCollector } from '../../../src/sources/files/remarks.ts';
import { isRoot, scratch, tar } from '../../support/file-tree.ts';

const CHUNK_BYTES = 65_536;
const newChunk = () => Buffer.allocUnsafeSlow(CHUNK_BYTES);

let home: ReturnType<typeof scratch>;
beforeEach(() => {
  home = scratch();
});
afterEach(() => {
  healMocks();
  home[Symbol.dispose]();
});

function healMocks(): void {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
}

function at(name: string): string {
  return join(home.path, 'top', name);
}

function make(files: Record<string, Buffer | string>): void {
  fs.mkdirSync(join(home.path, 'top'));
  for (const [name, data] of Object.entries(files)) fs.writeFileSync(at(name), data);
}

interface Packed {
  /** The path of what came out. */
  out: (name: string) => string;
  /** As `tar -tv` has it. */
  listed: string[];
  remarks: CaptureRemarks;
}

/** Packs `top`, lets `interfere` act after the first chunk, and extracts. */
function packWhile(interfere: () => void): Packed {
  const remarks = new RemarkCollector();
  const packing = packTree(
    {
      roots: [{ path: join(home.path, 'top'), as: 'top' }],
      exclude: [],
      leaveOut: [],
    },
    remarks,
    newChunk,
  );
  const chunks: Buffer[] = [];
  const first = packing.next();
  if (first.done !== true) chunks.push(first.value);
  interfere();
  chunks.push(...packing);
  const out = join(home.path, 'out');
  fs.mkdirSync(out);
  const archive = Buffer.concat(chunks);
  tar(['-xf', '-', '-C', out], archive);
  return {
    out: (name) => join(out, 'top', name),
    listed: tar(['-tvf', '-'], archive).trimEnd().split('\n'),
    remarks: remarks.collected(),
  };
}

/** A file system whose directories do not say of some entries what they are: Node asks, by the name as text. */
function hideTypes(isHidden: (name: string) => boolean): void {
  const readdirSync = realFs.readdirSync;
  const listed = (path: string, options: { encoding: 'latin1' }) => {
    if (!('withFileTypes' in options)) return readdirSync(path, options);
    return readdirSync(path, { encoding: 'latin1', withFileTypes: true }).map((entry) => {
      const { name } = entry;
      if (!isHidden(name)) return entry;
      const stat = realFs.lstatSync(join(path, name));
      return { name, isFile: () => stat.isFile() };
    });
  };
  vi.spyOn(realFs, 'readdirSync').mockImplementation(listed as typeof realFs.readdirSync);
  syncBuiltinESMExports();
}

/**
 * A file that fills the first chunk so far that the packer hands it over when it has looked at the entry
 * after it and not yet opened that.
 */
const FILLER = Buffer.alloc(CHUNK_BYTES / 2);

describe('Files vanishing or changing while tar reads', () => {
  test('a file that grows is cut at the size first seen', () => {
    const data = randomBytes(300_000);
    make({ a: data, b: 'after' });
    const { out, remarks } = packWhile(() => fs.appendFileSync(at('a'), randomBytes(100_000)));
    expect(fs.readFileSync(out('a')).equals(data)).toBe(true);
    expect(fs.readFileSync(out('b'), 'utf8')).toBe('after');
    expect(remarks).toEqual({
      changed: [{ path: 'top/a', reason: 'grew while it was read: cut at 300000 bytes' }],
      incomplete: [],
    });
  });

  test('a file that grows at the very end of a chunk is noticed too', () => {
    // Headers of the top and of the file, then data up to the last byte of the second chunk.
    make({ a: Buffer.alloc(2 * CHUNK_BYTES - 1_024, 7) });
    const { remarks } = packWhile(() => fs.appendFileSync(at('a'), 'x'));
    expect(remarks.changed).toMatchObject([{ path: 'top/a', reason: expect.stringContaining('grew') }]);
  });

  test('a file that shrinks is padded with zeros and incomplete', () => {
    const data = randomBytes(300_000);
    make({ a: data, b: 'after' });
    const { out, remarks } = packWhile(() => fs.truncateSync(at('a'), 100_000));
    const expected = Buffer.concat([data.subarray(0, 100_000), Buffer.alloc(200_000)]);
    expect(fs.readFileSync(out('a')).equals(expected)).toBe(true);
    expect(fs.readFileSync(out('b'), 'utf8')).toBe('after');
    expect(remarks).toEqual({
      changed: [],
      incomplete: [
        {
          path: 'top/a',
          reason: 'shrank while it was read: padded with zeros from byte 100000 of 300000',
        },
      ],
    });
  });

  test('a file that is overwritten in place is remarked', () => {
    make({ a: randomBytes(300_000) });
    const { remarks } = packWhile(() => {
      const fd = fs.openSync(at('a'), 'r+');
      fs.writeSync(fd, 'new', 200_000);
      fs.futimesSync(fd, 1, 1);
      fs.closeSync(fd);
    });
    expect(remarks).toEqual({
      changed: [{ path: 'top/a', reason: 'written to while it was read' }],
      incomplete: [],
    });
  });

  test('a file and a directory that vanish are left out', () => {
    make({ a: randomBytes(300_000), b: 'gone', z: 'after' });
    fs.mkdirSync(at('directory'));
    fs.writeFileSync(at('directory/file'), '');
    const { out, remarks } = packWhile(() => {
      fs.rmSync(at('b'));
      fs.rmSync(at('directory'), { recursive: true });
    });
    expect(fs.readdirSync(out(''))).toEqual(['a', 'z']);
    expect(remarks).toEqual({
      changed: [
        { path: 'top/b', reason: 'vanished before it was read' },
        { path: 'top/directory', reason: 'vanished before it was read' },
      ],
      incomplete: [],
    });
  });

  test('a file that vanishes between the look and the opening is left out', () => {
    make({ a: FILLER, b: 'gone', c: 'after' });
    const { out, remarks } = packWhile(() => fs.rmSync(at('b')));
    expect(fs.readdirSync(out(''))).toEqual(['a', 'c']);
    expect(remarks.changed).toEqual([{ path: 'top/b', reason: 'vanished before it was read' }]);
  });

  const replacements: [what: string, make: () => void, type: string][] = [
    ['a symbolic link', () => fs.symlinkSync('/etc/passwd', at('b')), 'l'],
    ['a FIFO', () => execFileSync('mkfifo', [at('b')]), 'p'],
    ['a directory', () => fs.mkdirSync(at('b/below'), { recursive: true }), 'd'],
  ];

  test.each(replacements)(
    'a file replaced by %s before it is opened is archived as what is there then, neither followed nor waited for',
    (_, replace, type) => {
      make({ a: FILLER, b: 'gone', c: 'after' });
      const { out, listed, remarks } = packWhile(() => {
        fs.rmSync(at('b'));
        replace();
      });
      expect(fs.readdirSync(out(''))).toEqual(['a', 'b', 'c']);
      const lines = listed.filter((line) => line.includes(' top/b'));
      expect(lines.map((line) => line[0])).toEqual(type === 'd' ? ['d', 'd'] : [type]);
      expect(remarks).toEqual({ changed: [], incomplete: [] });
    },
  );

  test.each(replacements)(
    'a file that was looked at and is replaced by %s before it is opened is left out',
    (_, replace) => {
      // A name that Node does not find when it asks what it is: all are looked at.
      make({ a: FILLER, b: 'gone', 'c\u00e9': 'after' });
      hideTypes((name) => name === 'c\u00c3\u00a9');
      const { out, remarks } = packWhile(() => {
        fs.rmSync(at('b'));
        replace();
      });
      healMocks();
      expect(fs.readdirSync(out(''))).toEqual(['a', 'c\u00e9']);
      expect(remarks).toEqual({
        changed: [{ path: 'top/b', reason: 'replaced before it was read' }],
        incomplete: [],
      });
    },
  );

  test('a file that a program saves anew by renaming is archived as it is when opened', () => {
    make({ a: FILLER, b: 'old', c: 'after' });
    const { out, remarks } = packWhile(() => {
      fs.writeFileSync(join(home.path, 'new'), 'new and longer', { mode: 0o600 });
      fs.renameSync(join(home.path, 'new'), at('b'));
    });
    expect(fs.readFileSync(out('b'), 'utf8')).toBe('new and longer');
    expect(fs.statSync(out('b')).mode & 0o777).toBe(0o600);
    expect(remarks).toEqual({ changed: [], incomplete: [] });
  });

  test('a symbolic link replaced before it is read is left out', () => {
    make({ a: FILLER, c: 'after' });
    fs.symlinkSync('c', at('b'));
    const { out, remarks } = packWhile(() => {
      fs.rmSync(at('b'));
      fs.writeFileSync(at('b'), 'a file now');
    });
    expect(fs.readdirSync(out(''))).toEqual(['a', 'c']);
    expect(remarks.changed).toEqual([{ path: 'top/b', reason: 'replaced before it was read' }]);
  });

  test('the second name of a file whose first name vanished carries the data', () => {
    make({ a: FILLER, b: 'shared', c: 'after' });
    fs.linkSync(at('b'), at('d'));
    const { out, remarks } = packWhile(() => fs.rmSync(at('b')));
    expect(fs.readFileSync(out('d'), 'utf8')).toBe('shared');
    expect(remarks.changed).toHaveLength(1);
  });
});

test('Files vanishing or changing while tar reads: a directory that vanishes between look and list', () => {
  make({ z: 'after' });
  fs.mkdirSync(at('directory'));
  const readdirSync = realFs.readdirSync;
  vi.spyOn(realFs, 'readdirSync').mockImplementation(((path: string, options: { encoding: 'latin1' }) => {
    if (path === at('directory')) fs.rmdirSync(path);
    return readdirSync(path, options);
  }) as typeof realFs.readdirSync);
  syncBuiltinESMExports();
  const { out, remarks } = packWhile(() => undefined);
  healMocks();
  expect(fs.readdirSync(out(''))).toEqual(['z']);
  expect(remarks).toEqual({
    changed: [{ path: 'top/directory', reason: 'vanished before it was read' }],
    incomplete: [],
  });
});

describe('where directories do not say what their entries are', () => {
  function packed(): { archive: Buffer; remarks: CaptureRemarks } {
    const remarks = new RemarkCollector();
    const options = { roots: [{ path: join(home.path, 'top'), as: 'top' }], exclude: [], leaveOut: [] };
    const archive = Buffer.concat([...packTree(options, remarks, newChunk)]);
    return { archive, remarks: remarks.collected() };
  }

  test.each([
    ['each is looked at', () => false],
    // Its name as text is that of nothing that is there.
    ['and one of them cannot be found by Node', (name: string) => name === 'd\u00c3\u00a9'],
  ])('%s', (_, isToo) => {
    make({ a: 'a file', b: 'another', 'd\u00e9': 'not ASCII' });
    fs.mkdirSync(at('directory'));
    fs.writeFileSync(at('directory/c'), 'below');
    fs.linkSync(at('a'), at('hard link'));
    fs.symlinkSync('a', at('symbolic link'));
    execFileSync('mkfifo', [at('pipe')]);
    const expected = packed();
    hideTypes((name) => !name.startsWith('d\u00c3') || isToo(name));
    const { archive, remarks } = packed();
    healMocks();
    expect(archive.equals(expected.archive)).toBe(true);
    expect(tar(['-tf', '-'], archive).split('\n')).toContain('top/directory/c');
    expect(remarks).toEqual({ changed: [], incomplete: [] });
  });

  function callAllFiles(): void {
    const { readdirSync } = realFs;
    const listed = (path: string, options: { encoding: 'latin1'; withFileTypes: true }) =>
      readdirSync(path, options).map(({ name }) => ({ name, isFile: () => true }));
    vi.spyOn(realFs, 'readdirSync').mockImplementation(listed as unknown as typeof realFs.readdirSync);
    syncBuiltinESMExports();
  }

  test('a check reports an unreadable file, and not what a link leads to that a directory calls a file', async () => {
    make({ a: 'a file', unreadable: 'a file' });
    fs.symlinkSync('unreadable', at('link'));
    callAllFiles();
    vi.spyOn(realFs, 'accessSync').mockImplementation((path) => {
      if (path !== at('a')) throw Object.assign(new Error('permission denied'), { code: 'EACCES' });
    });
    syncBuiltinESMExports();
    const options = { roots: [{ path: join(home.path, 'top'), as: 'top' }], exclude: [], leaveOut: [] };
    const findings = await findUnreadable(options, new AbortController().signal);
    healMocks();
    expect(findings.map(({ path }) => path)).toEqual([at('unreadable')]);
  });

  test('a link that a directory calls a file is a link', () => {
    make({ a: 'a file' });
    fs.symlinkSync('a', at('link'));
    fs.symlinkSync('nowhere', at('loose'));
    const expected = packed();
    callAllFiles();
    const { archive, remarks } = packed();
    healMocks();
    expect(archive.equals(expected.archive)).toBe(true);
    expect(remarks).toEqual({ changed: [], incomplete: [] });
  });

  test('one whose name is not ASCII is not taken for another that is named as its bytes read as text', () => {
    make({ '\u00c3\u00a9': 'a file' });
    fs.mkdirSync(at('\u00e9'));
    fs.writeFileSync(at('\u00e9/below'), 'in the directory');
    hideTypes((name) => name === '\u00c3\u00a9');
    const { archive, remarks } = packed();
    healMocks();
    expect(remarks).toEqual({ changed: [], incomplete: [] });
    expect(tar(['-xOf', '-', 'top/\u00e9/below'], archive)).toBe('in the directory');
  });
});

describe('a failing disk', () => {
  /** Reads of the files of this size fail, from the given one on. */
  function failReads(fromRead: number, size: number): void {
    const readSync = realFs.readSync;
    let reads = 0;
    vi.spyOn(realFs, 'readSync').mockImplementation(((
      fd: number,
      ...rest: [Buffer, number, number, null]
    ) => {
      if (realFs.fstatSync(fd).size === size) reads += 1;
      if (reads >= fromRead && realFs.fstatSync(fd).size === size) {
        throw Object.assign(new Error('i/o error'), { code: 'EIO' });
      }
      return readSync(fd, ...rest);
    }) as typeof realFs.readSync);
    syncBuiltinESMExports();
  }

  test('at the first read leaves nothing of the file in the archive', () => {
    make({ a: 'before', b: randomBytes(200_000), c: 'after' });
    fs.linkSync(at('b'), at('d'));
    failReads(1, 200_000);
    const { out, remarks } = packWhile(() => undefined);
    expect(fs.readdirSync(out(''))).toEqual(['a', 'c']);
    expect(fs.readFileSync(out('c'), 'utf8')).toBe('after');
    expect(remarks).toEqual({
      changed: [],
      incomplete: [
        { path: 'top/b', reason: 'unreadable: EIO' },
        { path: 'top/d', reason: 'unreadable: EIO' },
      ],
    });
  });

  test('at a later read leaves zeros, and the rest of the archive whole', () => {
    const data = randomBytes(200_000);
    make({ a: 'before', b: data, c: 'after' });
    failReads(3, 200_000);
    const { out, remarks } = packWhile(() => undefined);
    healMocks();
    const [remark] = remarks.incomplete;
    const from = Number(
      /^read error EIO: padded with zeros from byte (\d+) of 200000$/.exec(remark?.reason ?? '')?.[1],
    );
    expect(from).toBeGreaterThan(CHUNK_BYTES);
    const expected = Buffer.concat([data.subarray(0, from), Buffer.alloc(200_000 - from)]);
    expect(fs.readFileSync(out('b')).equals(expected)).toBe(true);
    expect(fs.readFileSync(out('c'), 'utf8')).toBe('after');
  });
});

describe('what the user may not read', () => {
  /** Runs the pack in a process without root's rights. */
  function packAsNobody(leaveOut: string[] = []): {
    members: string[];
    remarks: CaptureRemarks;
    unreadable: { path: string }[];
  } {
    const script = join(import.meta.dirname, 'pack-as-nobody.ts');
    const printed = execFileSync(process.execPath, [script, join(home.path, 'top'), ...leaveOut], {
      encoding: 'utf8',
      maxBuffer: 1_048_576,
    });
    const { archive, ...rest } = JSON.parse(printed) as {
      archive: string;
      remarks: CaptureRemarks;
      unreadable: { path: string }[];
    };
    return { members: tar(['-tf', '-'], Buffer.from(archive, 'base64')).trimEnd().split('\n'), ...rest };
  }

  test('does not matter in a directory that is left out', () => {
    make({ a: 'open' });
    fs.mkdirSync(at('closed'));
    fs.chmodSync(home.path, 0o755);
    fs.chmodSync(at('closed'), isRoot ? 0o700 : 0o000);
    const { members, remarks, unreadable } = packAsNobody([at('closed')]);
    if (!isRoot) fs.chmodSync(at('closed'), 0o755);
    expect(members).toEqual(['top/', 'top/a']);
    expect({ remarks, unreadable }).toEqual({ remarks: { changed: [], incomplete: [] }, unreadable: [] });
  });

  test('is incomplete: an unreadable file is left out, an unreadable directory has its own entry', () => {
    make({ a: 'open', secret: 'closed', z: 'open' });
    fs.mkdirSync(at('closed'));
    fs.writeFileSync(at('closed/below'), '');
    fs.mkdirSync(at('listed-only'));
    fs.writeFileSync(at('listed-only/below'), '');
    fs.symlinkSync('secret', at('link'));
    // Open to the child, whoever it runs as; root's own files are closed to it by their mode.
    fs.chmodSync(home.path, 0o755);
    fs.chmodSync(at('secret'), isRoot ? 0o600 : 0o000);
    fs.chmodSync(at('closed'), isRoot ? 0o700 : 0o000);
    fs.chmodSync(at('listed-only'), 0o744 & (isRoot ? 0o777 : 0o444));
    const { members, remarks, unreadable } = packAsNobody();
    if (!isRoot) for (const name of ['closed', 'listed-only']) fs.chmodSync(at(name), 0o755);
    expect(members).toEqual(['top/', 'top/a', 'top/closed/', 'top/link', 'top/listed-only/', 'top/z']);
    expect(remarks).toEqual({
      changed: [],
      incomplete: [
        { path: 'top/closed', reason: 'unreadable directory: EACCES' },
        { path: 'top/listed-only/below', reason: 'unreadable: EACCES' },
        { path: 'top/secret', reason: 'unreadable: EACCES' },
      ],
    });
    expect(unreadable).toMatchObject([
      {
        severity: 'error',
        code: 'UNREADABLE',
        path: at('closed'),
        message: 'unreadable directory: EACCES',
      },
      {
        severity: 'error',
        code: 'UNREADABLE',
        path: at('listed-only/below'),
        message: 'unreadable: EACCES',
      },
      { severity: 'error', code: 'UNREADABLE', path: at('secret'), message: 'unreadable: EACCES' },
    ]);
  });
});

test('the other names of a file that changes meanwhile say of it what the first did', () => {
  make({ a: Buffer.alloc(CHUNK_BYTES * 3, 'x') });
  fs.linkSync(at('a'), at('b'));
  fs.utimesSync(at('a'), 1_000, 1_000);
  const remarks = new RemarkCollector();
  const roots = [{ path: join(home.path, 'top'), as: 'top' }];
  const packing = packTree({ roots, exclude: [], leaveOut: [] }, remarks, newChunk);
  const chunks: Buffer[] = [];
  const first = packing.next();
  if (first.done !== true) chunks.push(first.value);
  fs.chmodSync(at('a'), 0o600);
  fs.utimesSync(at('a'), 2_000, 2_000);
  chunks.push(...packing);
  const entries: [string, string, number, number][] = [];
  const reader = new TarReader({
    entry: ({ path, type, mode, mtime_s }) => entries.push([path.toString(), type, mode, Number(mtime_s)]),
    data: () => undefined,
    entryEnd: () => undefined,
  });
  reader.write(Buffer.concat(chunks));
  expect(entries.slice(1)).toEqual([
    ['top/a', 'file', 0o644, 1_000],
    ['top/b', 'link', 0o644, 1_000],
  ]);
});
