import { createHash } from 'node:crypto';
import {
  chmodSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { drillArchive } from '../../src/engine/drill.ts';
import { TarTreeInspector } from '../../src/inspect/tar-tree.ts';
import { makeScratchDirectory } from '../../src/scratch/scratch-directory.ts';
import { DirectoryTarget } from '../../src/targets/files/directory-target.ts';
import { readTree } from '../../src/targets/files/read-tree.ts';
import { ArchiveExaminer } from '../../src/targets/files/tree-examiner.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { addBackup } from '../support/stock.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';
import { openTestLocation } from '../support/test-location.ts';
import { archiveOf, type Member } from '../targets/files/archive.ts';

const FILENAME = 'files_backup_tree_20261118_020000.tar.gz';
const SCOPE = { job: '@drill', run: 'r', actor: 'cli:tester' };
const TOP: Member = { path: 'tree/', flag: '5', mode: 0o755 };
const TREE: Member[] = [
  TOP,
  { path: 'tree/a', data: 'a\n' },
  { path: 'tree/dir/', flag: '5', mode: 0o2775 },
  { path: 'tree/dir/b', data: 'bb\n' },
  { path: 'tree/l', flag: '2', link: '/elsewhere', mode: 0o777 },
];

/**
 * Drills an archive of these members.
 * @param disturb is told the extracted tree, before it is read.
 * @param recorded what the manifest records, where that is something else.
 */
async function drill(
  members: Member[],
  {
    disturb = () => undefined,
    recorded = members,
  }: { disturb?: (tree: string) => void; recorded?: Member[] } = {},
) {
  const parent = await temporaryDirectory();
  const bed = await openTestLocation({
    restoring: {
      openDirectory: (path, protectedPaths) => new DirectoryTarget(path, protectedPaths),
      openExaminer: (options) => new ArchiveExaminer(options),
      makeScratchDirectory: (signal) => makeScratchDirectory(parent, signal),
      readTree: async (root, ...rest) => {
        disturb(join(root, 'tree'));
        return await readTree(root, ...rest);
      },
    },
  });
  const tar = archiveOf(...members);
  const inspector = new TarTreeInspector();
  inspector.write(archiveOf(...recorded));
  const stored = gzipSync(tar);
  await addBackup(bed, FILENAME, {
    contents: await inspector.end(),
    directories: ['tree'],
    raw_size: tar.length,
    size: stored.length,
    hash: createHash('sha256').update(stored).digest('hex'),
  });
  await writeFile(bed.location.archivePath('files', FILENAME), stored);
  const result = await drillArchive(bed.context, FILENAME, SCOPE, NO_ABORT);
  expect(readdirSync(parent)).toEqual([]);
  return result;
}

test('a tree that is on disk as recorded is proven, whatever its links and modes', async () => {
  expect(await drill(TREE)).toMatchObject({
    verdict: 'proven',
    detail: '5 entries with 5 B of data, equal on disk after extraction',
  });
});

describe('what differs on disk is named, with how', () => {
  test.each<[string, (tree: string) => void, string]>([
    ['a file that is gone', (tree) => rmSync(join(tree, 'a'), { force: true }), 'tree/a (missing)'],
    [
      'a directory that is gone',
      (tree) => rmSync(join(tree, 'dir'), { recursive: true, force: true }),
      '2 entries differ: tree/dir (missing); tree/dir/b (missing)',
    ],
    ['one more', (tree) => writeFileSync(join(tree, 'dir-'), ''), 'tree/dir- (extra)'],
    ['data', (tree) => writeFileSync(join(tree, 'a'), 'b\n'), 'tree/a (data'],
    ['a size', (tree) => truncateSync(join(tree, 'dir/b')), 'tree/dir/b (size 0 instead of 3'],
    ['a mode', (tree) => chmodSync(join(tree, 'dir'), 0o775), 'tree/dir (mode 0775 instead of 2775)'],
    ['a time', (tree) => utimesSync(join(tree, 'a'), 5, 5), 'tree/a (mtime 5 instead of 1000)'],
    [
      'a link',
      (tree) => {
        rmSync(join(tree, 'l'));
        symlinkSync('here', join(tree, 'l'));
      },
      'tree/l (link target here instead of /elsewhere',
    ],
    [
      'a type',
      (tree) => {
        rmSync(join(tree, 'a'));
        symlinkSync('here', join(tree, 'a'));
      },
      'tree/a (type symlink instead of file',
    ],
  ])('%s', async (_what, disturb, named) => {
    const { verdict, detail } = await drill(TREE, {
      disturb: (tree) => {
        disturb(tree);
        utimesSync(tree, 1_000, 1_000);
        if (_what !== 'a directory that is gone') utimesSync(join(tree, 'dir'), 1_000, 1_000);
      },
    });
    expect({ verdict, detail }).toEqual({
      verdict: 'failed',
      detail: expect.stringContaining(named) as string,
    });
    expect(detail).toMatch(
      /^the extracted tree is not the recorded one: (1 entry differs|\d entries differ): /,
    );
    expect(detail.includes('keep modes and times?')).toBe(['a mode', 'a time'].includes(_what));
  });

  test('of many the first twenty', async () => {
    const many = Array.from({ length: 300 }, (_, n) => ({ path: `tree/${String(n).padStart(3, '0')}` }));
    const disturb = (tree: string) => {
      for (const name of readdirSync(tree)) chmodSync(join(tree, name), 0o600);
    };
    const { detail } = await drill([TOP, ...many], { disturb });
    expect(detail).toMatch(/300 entries differ: tree\/000 \(mode.*tree\/019 \(mode [^;]*; and 280 more;/);
  });
});

test('an archive that is not what its manifest records is told as such', async () => {
  const changed = TREE.map((member) => (member.path === 'tree/a' ? { ...member, data: 'x\n' } : member));
  expect(await drill(changed, { recorded: TREE })).toMatchObject({
    verdict: 'failed',
    detail: expect.stringMatching(
      /^the archive is not what was recorded of it: its entries are not those that were written: .*cofre diff/,
    ) as string,
  });
});

describe('an archive with what no backup writes has failed', () => {
  const evil = { data: 'evil' };
  test.each<[string, Member[], string]>([
    ['an absolute path', [{ path: '/tmp/evil', ...evil }], '/tmp/evil: an absolute path'],
    ['..', [{ path: 'tree/../../evil', ...evil }], 'tree/../../evil: a path with `..`'],
    [
      'a path through a link',
      [
        { path: 'tree/l', flag: '2', link: '/tmp' },
        { path: 'tree/l/evil', ...evil },
      ],
      'tree/l/evil: a path through tree/l',
    ],
    [
      'a hard link outwards',
      [{ path: 'tree/h', flag: '1', link: '/etc/passwd' }],
      'hard link to /etc/passwd',
    ],
    [
      'an entry twice, of two kinds',
      [{ path: 'tree/x' }, { path: 'tree/x', flag: '2', link: '/tmp' }],
      'tree/x: a second entry of that path',
    ],
    ['an entry twice', [{ path: 'tree/x' }, { path: 'tree/x', ...evil }], 'tree/x (twice in the archive'],
    [
      'another order than that of names',
      [{ path: 'tree/x' }, { path: 'tree/a' }],
      'the archive holds tree/a after tree/x, an order in which no backup writes',
    ],
    [
      'it beside a device',
      [
        { path: 'tree/null', flag: '3' },
        { path: 'tree/../x', ...evil },
      ],
      'not restored: tree/../x',
    ],
  ])('%s', async (_what, members, named) => {
    const { verdict, detail } = await drill([TOP, ...members]);
    expect({ verdict, detail }).toEqual({
      verdict: 'failed',
      detail: expect.stringContaining(named) as string,
    });
  });
});

test('an archive with a device, and no more than that, is not provable', async () => {
  const { verdict, detail } = await drill([
    TOP,
    { path: 'tree/null', flag: '3' },
    { path: 'tree/again', flag: '1', link: 'tree/null' },
  ]);
  expect(verdict).toBe('not provable here');
  expect(detail).toMatch(
    /tree\/null: a character device; tree\/again: .*Devices are restored by `tar` as root/,
  );
});
