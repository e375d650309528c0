import { describe, expect, test } from 'vitest';
import type { TreeEntry } from '../../src/domain/tree-listing.ts';
import { TreeDiff } from '../../src/domain/tree-diff.ts';

function entry(path: string | Buffer, facts: Partial<TreeEntry> = {}): TreeEntry {
  const data = Buffer.alloc(32, 1);
  return { path: Buffer.from(path), type: 'file', mode: 0o644, size: 5, mtime_s: 1, data, ...facts };
}

function diff(before: TreeEntry[], after: TreeEntry[]) {
  const differ = new TreeDiff((path) => path.toString('latin1'));
  for (const each of before) differ.before(each);
  for (const each of after) differ.after(each);
  return differ.result();
}

describe('two trees', () => {
  test('with the same entries are identical, whatever the order', () => {
    const entries = [entry('a'), entry('a/b', { type: 'directory', size: 0, data: Buffer.alloc(0) })];
    expect(diff(entries, entries.toReversed())).toEqual({
      identical: true,
      paths: { added: [], removed: [], changed: [] },
    });
    expect(diff([], []).identical).toBe(true);
  });

  test('say what was added and removed, in the order of the archives', () => {
    const { identical, paths } = diff(
      [entry('z'), entry('same'), entry('b')],
      [entry('q'), entry('same'), entry('c')],
    );
    expect(identical).toBe(false);
    expect(paths).toEqual({ added: ['q', 'c'], removed: ['z', 'b'], changed: [] });
  });

  const target = (text: string) => ({ type: 'symlink', size: 0, data: Buffer.from(text) });
  test.each<[string, Partial<TreeEntry>, Partial<TreeEntry>, string[]]>([
    ['its size', {}, { size: 6 }, ['size']],
    ['its mode', {}, { mode: 0o4755 }, ['mode']],
    ['its time', { mtime_s: -1 }, { mtime_s: -2n }, ['mtime']],
    ['its data', {}, { data: Buffer.alloc(32, 2) }, ['data']],
    ['a byte of its data that is NUL', {}, { data: Buffer.alloc(32, 0) }, ['data']],
    ['where it links to', target('x'), target('y'), ['link']],
    ['a link that has NUL in front', target('x'), target('\0x'), ['link']],
    [
      'a hard link',
      { type: 'link', data: Buffer.from('a') },
      { type: 'link', data: Buffer.from('b') },
      ['link'],
    ],
    ['what it is', {}, target('x'), ['type']],
    ['everything', {}, { ...target('x'), mode: 0o777, mtime_s: 9 }, ['type', 'mode', 'mtime']],
    [
      'all of a file',
      {},
      { size: 6, mode: 0, mtime_s: 9, data: Buffer.alloc(32) },
      ['size', 'mode', 'mtime', 'data'],
    ],
  ])('say that an entry changed %s', (_what, before, after, changes) => {
    const { identical, paths } = diff([entry('p', before)], [entry('p', after)]);
    expect(identical).toBe(false);
    expect(paths).toEqual({ added: [], removed: [], changed: [{ path: 'p', changes }] });
  });

  test('are compared by the bytes of their paths', () => {
    const [raw, other] = [Buffer.from([0xff, 0x2f, 0xc3]), Buffer.from([0xfe, 0x2f, 0xc3])];
    expect(diff([entry(raw)], [entry(other)]).paths).toEqual({
      added: [other.toString('latin1')],
      removed: [raw.toString('latin1')],
      changed: [],
    });
  });

  test('a path that an archive holds twice counts with its first entry', () => {
    const twice = [entry('p', { size: 1 }), entry('p', { size: 2 })];
    expect(diff(twice, twice).identical).toBe(true);
    expect(diff([], twice).paths.added).toEqual(['p']);
    expect(diff(twice, [entry('p', { size: 2 })]).paths.changed).toEqual([{ path: 'p', changes: ['size'] }]);
  });
});
