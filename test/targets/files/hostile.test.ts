import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { namesIn, temporaryDirectory } from '../../support/temp-directory.ts';
import { archiveOf, examine, extract, failureOf, type Member } from './archive.ts';

/** A target between directories that nothing may touch. */
async function besideOthers() {
  const top = await temporaryDirectory();
  const outside = join(top, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'precious'), 'as it was');
  const target = join(top, 'target');
  mkdirSync(target);
  const state = () => ({
    outside: readdirSync(outside),
    precious: readFileSync(join(outside, 'precious'), 'utf8'),
    modes: [outside, join(outside, 'precious')].map((path) => statSync(path).mode),
    links: statSync(join(outside, 'precious')).nlink,
    passwd: statSync('/etc/passwd').nlink,
    top: readdirSync(top),
    target: readdirSync(target),
  });
  return { top, outside, target, state };
}

const HONEST: Member[] = [
  { path: 'dir/', flag: '5' },
  { path: 'dir/file', data: 'data' },
];

const FILE = { data: 'evil' };
const HOSTILE: [what: string, members: (outside: string) => Member[], refused: Record<string, RegExp>][] = [
  ['an absolute path', (outside) => [{ path: `${outside}/evil`, ...FILE }], { evil: /absolute/ }],
  ['.. at the start', () => [{ path: '../outside/evil', ...FILE }], { evil: /`\.\.`/ }],
  ['.. on the way', () => [{ path: 'dir/../../outside/evil', ...FILE }], { evil: /`\.\.`/ }],
  ['.. that stays inside', () => [{ path: 'dir/../evil', ...FILE }], { evil: /`\.\.`/ }],
  ['an empty path', () => [{ path: '', ...FILE }], { '': /empty/ }],
  ['the top as a file', () => [{ path: './.', ...FILE }], { '.': /target itself/ }],
  [
    'a link and a file through it',
    (outside) => [
      { path: 'l', flag: '2', link: outside },
      { path: 'l/evil', ...FILE },
    ],
    { l: /out of the target/, evil: /through l/ },
  ],
  [
    'a link inside and a file through it',
    () => [
      { path: 'l', flag: '2', link: 'dir' },
      { path: 'l/evil', ...FILE },
    ],
    { evil: /through l/ },
  ],
  [
    'a link far above a file',
    () => [
      { path: 'l', flag: '2', link: 'dir' },
      { path: 'l/a/b/c/evil', ...FILE },
    ],
    { evil: /through l/ },
  ],
  [
    'a link that takes the place of a directory, and back, twice',
    (outside) => [
      { path: 'd/', flag: '5' },
      { path: 'd', flag: '2', link: outside },
      { path: 'd/evil', ...FILE },
      { path: 'd/', flag: '5' },
      { path: 'd', flag: '2', link: outside },
    ],
    { d: /out of the target/ },
  ],
  [
    'a link that takes the place of a directory that was never named',
    () => [
      { path: 'd/below', ...FILE },
      { path: 'd', flag: '2', link: 'dir' },
    ],
    { d: /another kind/ },
  ],
  [
    'a file that takes the place of a directory, and a directory that of a file',
    () => [
      { path: 'dir', ...FILE },
      { path: 'dir/file/', flag: '5' },
    ],
    { dir: /another kind/, file: /another kind/ },
  ],
  ['a file through a file', () => [{ path: 'dir/file/evil', ...FILE }], { evil: /through dir\/file/ }],
  [
    'a hard link to an absolute path',
    () => [{ path: 'h', flag: '1', link: '/etc/passwd' }],
    { h: /absolute/ },
  ],
  ['a hard link with ..', () => [{ path: 'h', flag: '1', link: '../outside/precious' }], { h: /`\.\.`/ }],
  ['a hard link to what is not there', () => [{ path: 'h', flag: '1', link: 'none' }], { h: /no earlier/ }],
  ['a hard link to a directory', () => [{ path: 'h', flag: '1', link: 'dir' }], { h: /no earlier/ }],
  ['a hard link to itself', () => [{ path: 'h', flag: '1', link: 'h' }], { h: /itself/ }],
  [
    'a hard link through a link',
    (outside) => [
      { path: 'l', flag: '2', link: outside },
      { path: 'h', flag: '1', link: 'l/precious' },
    ],
    { l: /out of/, h: /no earlier/ },
  ],
  [
    'a hard link to a link that is refused',
    (outside) => [
      { path: 'l', flag: '2', link: outside },
      { path: 'h', flag: '1', link: 'l' },
    ],
    { l: /out of/, h: /refused/ },
  ],
  [
    'a hard link that brings a link where it leads out',
    () => [
      { path: 'dir/l', flag: '2', link: '..' },
      { path: 'h', flag: '1', link: 'dir/l' },
    ],
    { h: /leads out of the target from here/ },
  ],
  ['a link above the target', () => [{ path: 'dir/l', flag: '2', link: '../../outside' }], { l: /out of/ }],
  [
    'a link above the target and back',
    () => [{ path: 'l', flag: '2', link: '../target/dir' }],
    { l: /out of/ },
  ],
  ['a link to nothing', () => [{ path: 'l', flag: '2', link: '' }], { l: /nothing/ }],
  [
    'a link that leads out through another one',
    () => [
      { path: 'dir/l', flag: '2', link: 'up/..' },
      { path: 'dir/up', flag: '2', link: '..' },
    ],
    { l: /through the link dir\/up and up/ },
  ],
  ['a character device', () => [{ path: 'null', flag: '3' }], { null: /character device/ }],
  ['a block device', () => [{ path: 'sda', flag: '4' }], { sda: /block device/ }],
  [
    'a hard link to a device',
    () => [
      { path: 'sda', flag: '4' },
      { path: 'h', flag: '1', link: 'sda' },
    ],
    { sda: /device/, h: /refused/ },
  ],
];

/** What a backup writes all the same: of directories that hold such a thing. The rest somebody else wrote. */
const HONEST_SOMEWHERE = new Set([
  'a hard link to a link that is refused',
  'a hard link that brings a link where it leads out',
  'a link above the target',
  'a link above the target and back',
  'a link that leads out through another one',
  'a character device',
  'a block device',
  'a hard link to a device',
]);

describe('an archive is refused, and nothing touched, for', () => {
  test.each(HOSTILE)('%s', async (what, members, expected) => {
    const { outside, target, state } = await besideOthers();
    const before = state();
    const archive = archiveOf(...HONEST, ...members(outside));
    const { refused } = examine(archive);
    for (const [base, reason] of Object.entries(expected)) {
      const found = refused.find(({ path }) => path.slice(path.lastIndexOf('/') + 1) === base);
      expect(found?.reason).toMatch(reason);
    }
    const { foreign_total } = examine(archive, { outsideLinks: true });
    expect(foreign_total > 0).toBe(!HONEST_SOMEWHERE.has(what));
    let checked = false;
    const failure = await failureOf(
      extract(archive, target, {}, async () => {
        checked = true;
      }),
    );
    expect(failure).toMatchObject({ code: 'ARCHIVE_UNSAFE' });
    expect(checked).toBe(false);
    expect(state()).toEqual(before);
  });
});

test('with outside links they are made as they are, and still nothing goes through them', async () => {
  const { outside, target, top } = await besideOthers();
  const links = archiveOf(
    { path: 'absolute', flag: '2', link: outside },
    { path: 'up', flag: '2', link: '../outside' },
    { path: 'again', flag: '1', link: 'up' },
  );
  expect(examine(links, { outsideLinks: true })).toEqual({
    entries: 3,
    bytes: 0,
    refused: [],
    refused_total: 0,
    foreign_total: 0,
  });
  await extract(links, target, { outsideLinks: true });
  expect(await namesIn(target)).toEqual(['absolute', 'again', 'up']);
  const through = archiveOf({ path: 'l', flag: '2', link: outside }, { path: 'l/evil', ...FILE });
  expect(await failureOf(extract(through, join(top, 'new'), { outsideLinks: true }))).toMatchObject({
    code: 'ARCHIVE_UNSAFE',
    message: expect.not.stringMatching(/: l: /) as string,
  });
  expect(await namesIn(top)).toEqual(['outside', 'target']);
  expect(await namesIn(outside)).toEqual(['precious']);
});

test('the error names the first entries and the flag that helps', async () => {
  const { target } = await besideOthers();
  const links = Array.from({ length: 25 }, (_, n) => ({ path: `l${n}`, flag: '2', link: '/etc' }));
  const onlyLinks = await failureOf(extract(archiveOf(...links), target));
  expect(onlyLinks).toMatchObject({
    message: expect.stringMatching(/l0: [^;]*\/etc; l1: .*l19: .*; and 5 more$/) as string,
    hint: expect.stringContaining('--outside-links') as string,
  });
  // A link is what it is about, and no flag helps.
  const device = await failureOf(
    extract(archiveOf({ path: 'd', flag: '3' }, { path: 'h', flag: '1', link: 'd' }), target),
  );
  expect(device).toMatchObject({ hint: expect.not.stringContaining('--outside-links') as string });
});

test('a hundred thousand refused entries are counted, and a thousand named', () => {
  const members = Array.from({ length: 100_000 }, (_, n) => ({ path: `../${n}` }));
  const { refused, refused_total, entries } = examine(archiveOf({ path: 'fine' }, ...members));
  expect(entries).toBe(1);
  expect(refused).toHaveLength(1_000);
  expect(refused_total).toBe(100_000);
});

test('what only looks hostile is restored', async () => {
  const { target } = await besideOthers();
  const archive = archiveOf(
    { path: './', flag: '5', mode: 0o700 },
    { path: './a//b/./file', data: 'first' },
    { path: 'a/b/file', data: 'second' },
    { path: '..a/...', data: 'dots' },
    { path: 'a/back', flag: '2', link: '../..a/...' },
    { path: 'a/b/there-and-back', flag: '2', link: '../../a/b/../b/file' },
    { path: 'a/top', flag: '2', link: '..' },
    { path: 'a/top', flag: '2', link: 'b' },
    { path: '-rf', flag: '6' },
    { path: 'h', flag: '1', link: './-rf' },
  );
  expect(examine(archive)).toEqual({
    entries: 10,
    bytes: 15,
    refused: [],
    refused_total: 0,
    foreign_total: 0,
  });
  await extract(archive, target);
  expect(await namesIn(target)).toEqual(['-rf', '..a', 'a', 'h']);
  expect(readFileSync(join(target, 'a/b/file'), 'utf8')).toBe('second');
  expect(readFileSync(join(target, 'a/b/there-and-back'), 'utf8')).toBe('second');
  expect(readFileSync(join(target, 'a/top/file'), 'utf8')).toBe('second');
  expect(readFileSync(join(target, 'a/back'), 'utf8')).toBe('dots');
  expect(statSync(join(target, '-rf')).nlink).toBe(2);
});

test('an archive that is damaged is told as such by the examiner', () => {
  const archive = archiveOf(...HONEST);
  expect(() => examine(archive.subarray(0, 700))).toThrow(
    expect.objectContaining({ code: 'ARCHIVE_CORRUPT' }),
  );
  expect(() => examine(archive.subarray(0, 1_536))).toThrow(
    expect.objectContaining({ code: 'DUMP_TRUNCATED' }),
  );
});
