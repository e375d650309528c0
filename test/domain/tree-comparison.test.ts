import { expect, test } from 'vitest';
import { TreeComparison } from '../../src/domain/tree-comparison.ts';
import type { TreeEntry } from '../../src/domain/tree-listing.ts';

function entry(
  path: string,
  facts: Partial<Omit<TreeEntry, 'path' | 'data'>> & { data?: string } = {},
): TreeEntry {
  const { data = '', ...rest } = facts;
  return {
    path: Buffer.from(path),
    type: 'file',
    mode: 0o644,
    size: 1,
    mtime_s: 1_000,
    data: Buffer.from(data),
    ...rest,
  };
}

async function compare(recorded: TreeEntry[], found: TreeEntry[], directories = ['top', 'a']) {
  async function* listed() {
    yield* recorded;
  }
  const comparison = new TreeComparison(listed(), directories, String);
  for (const each of found) await comparison.found(each);
  const { entries, ...rest } = await comparison.end();
  return { entries: entries.names, ...rest };
}

const TREE = ['top', 'top/a', 'top/a/b', 'top/a-b', 'top/a.b', 'top/ab', 'a', 'a/x'].map((path) =>
  entry(path),
);

test('the same entries are no difference, in the order in which a tree is walked', async () => {
  expect(await compare(TREE, TREE)).toEqual({ entries: [], onlyAttributes: true, disorder: undefined });
});

test('what is missing and what is extra is named, wherever it is', async () => {
  for (const position of TREE.keys()) {
    const fewer = TREE.toSpliced(position, 1);
    const path = String(TREE[position]?.path);
    expect(await compare(TREE, fewer)).toMatchObject({
      entries: [`${path} (missing)`],
      onlyAttributes: false,
    });
    expect(await compare(fewer, TREE)).toMatchObject({ entries: [`${path} (extra)`], onlyAttributes: false });
  }
  expect((await compare(TREE, [])).entries).toHaveLength(TREE.length);
  expect((await compare([], TREE)).entries).toHaveLength(TREE.length);
});

test.each<[string, Parameters<typeof entry>[1], Parameters<typeof entry>[1], string]>([
  ['a type', {}, { type: 'directory', size: 0 }, 'type directory instead of file'],
  ['a mode', { mode: 0o2755 }, { mode: 0o755 }, 'mode 0755 instead of 2755'],
  ['a time', {}, { mtime_s: 999n }, 'mtime 999 instead of 1000'],
  ['a size', { data: 'x' }, { data: 'y', size: 2 }, 'size 2 instead of 1'],
  ['data', { data: 'x' }, { data: 'y' }, 'data'],
  ['a link', { type: 'symlink', data: 'x' }, { type: 'symlink', data: 'y' }, 'link target y instead of x'],
  [
    'several things',
    { data: 'x' },
    { data: 'y', mode: 0, mtime_s: 0 },
    'data, mode 0000 instead of 0644, mtime 0 instead of 1000',
  ],
])('%s that differs is named', async (_what, recorded, found, named) => {
  expect(await compare([entry('top', recorded)], [entry('top', found)])).toEqual({
    entries: [`top (${named})`],
    onlyAttributes: /^m\w+ \S+ instead of \S+$/.test(named),
    disorder: undefined,
  });
});

test('a time is the same whether it is read as one kind of number or the other', async () => {
  expect((await compare([entry('top', { mtime_s: 5 })], [entry('top', { mtime_s: 5n })])).entries).toEqual(
    [],
  );
});

test('what an archive holds twice, or in another order, is said', async () => {
  const twice = [entry('top'), entry('top/a'), entry('top/a')];
  expect(await compare(twice, twice.slice(0, 2))).toMatchObject({
    entries: ['top/a (twice in the archive)'],
  });
  expect(await compare([entry('top'), entry('top/b'), entry('top/a')], TREE)).toMatchObject({
    disorder: 'top/a after top/b',
  });
});

test('a hundred thousand differences are counted, and the first are named', async () => {
  const found = Array.from({ length: 100_000 }, (_, n) => entry(`top/${String(n).padStart(6, '0')}`));
  const comparison = new TreeComparison((async function* () {})(), ['top'], String);
  for (const each of found) await comparison.found(each);
  const { entries } = await comparison.end();
  expect(entries.total).toBe(100_000);
  expect(entries.describe()).toMatch(/^top\/000000 \(extra\); .*; and 99980 more$/);
});
