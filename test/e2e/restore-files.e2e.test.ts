import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type DiskEntry, fillWithEverything, isRoot, listDisk } from '../support/file-tree.ts';
import { asNobody, giveToNobody } from '../support/privileges.ts';
import { RestoreBed, type RestoreRefusal } from '../support/restore-bed.ts';
import { openTree, RestorePlace } from '../support/restore-place.ts';

/** How to run as a user without rights; undefined where that cannot be. */
const nobody = asNobody();

let bed: RestoreBed;
let at: RestorePlace;
let place: string;
let target: string;

beforeAll(async () => {
  bed = new RestoreBed();
  const everything = join(bed.dir, 'everything');
  mkdirSync(everything);
  fillWithEverything(everything);
  const small = join(bed.dir, 'small');
  mkdirSync(join(small, 'photos/2025'), { recursive: true });
  mkdirSync(join(small, 'photos/2026'));
  for (const name of ['notes.txt', 'photos/2025/a.jpg', 'photos/2025/a.txt', 'photos/2026/b.jpg']) {
    writeFileSync(join(small, name), `${name} as it was\n`);
  }
  chmodSync(join(small, 'photos/2025'), 0o750);
  const linked = join(bed.dir, 'linked');
  mkdirSync(linked);
  writeFileSync(join(linked, 'kept'), 'kept\n');
  symlinkSync('/etc/passwd', join(linked, 'absolute'));
  symlinkSync('../../elsewhere', join(linked, 'up'));
  symlinkSync('kept', join(linked, 'inside'));
  const files = (name: string, directory: string) => ({ type: 'files', name, directories: [directory] });
  await bed.backUp([files('everything', everything), files('small', small), files('linked', linked)]);
});

beforeEach(() => {
  at = new RestorePlace();
  ({ path: place, target } = at);
});

afterAll(() => {
  openTree(bed.dir);
  bed[Symbol.dispose]();
});

/** A restore that must fail, and change nothing at the place. */
async function refused(args: string[], from = bed): Promise<RestoreRefusal> {
  return await at.refused(args, from);
}

function namesIn(path: string): string[] {
  return readdirSync(path).sort();
}

describe('a whole tree', () => {
  test('comes back as it was: modes, times, links, hard links, and as root owners', async () => {
    const filename = bed.nameOf('everything');
    const { status, answer } = await bed.restore([filename, '--to', target, '--outside-links']);
    const expected = listDisk(join(bed.dir, 'everything'), 'everything');
    const bytes = expected
      .filter(({ path, first }) => path === first)
      .reduce((sum, { size }) => sum + size, 0);
    expect(answer).toEqual({
      success: true,
      filename,
      target,
      dry_run: false,
      steps: [
        expect.stringMatching(`^verified ${filename} `),
        expect.stringMatching(/^extracted \d+ entries with /),
        'read them again from the disk: the tree is the one that was recorded',
        `moved them to ${target}`,
      ],
      restored: { entries: expected.length, bytes },
      compared: true,
      differences: [],
      duration_ms: expect.any(Number),
    });
    expect(status).toBe(0);
    expect(listDisk(join(target, 'everything'), 'everything')).toEqual(expected);
    expect(namesIn(place)).toEqual(['target']);
    expect(bed.ended('@restore').at(-1)).toMatchObject({
      outcome: 'succeeded',
      actor: expect.stringMatching(/^cli:/),
    });
  });

  test.skipIf(nobody === undefined)('comes back for a user without rights, but for owners', async () => {
    using copy = bed.copy();
    giveToNobody(copy.dir);
    giveToNobody(place);
    const { status, answer } = await copy.restore(
      [copy.nameOf('everything'), '--to', target, '--outside-links'],
      { prefix: nobody ?? [] },
    );
    expect(answer).toMatchObject({ success: true, differences: [] });
    expect(status).toBe(0);
    const withoutOwners = (entries: DiskEntry[]) => entries.map((entry) => ({ ...entry, uid: 0, gid: 0 }));
    expect(withoutOwners(listDisk(join(target, 'everything'), 'everything'))).toEqual(
      withoutOwners(listDisk(join(bed.dir, 'everything'), 'everything')),
    );
    expect(lstatSync(join(target, 'everything/setuid')).uid).toBe(lstatSync(place).uid);
  });

  test.runIf(isRoot)('is not given to its owners with --no-owner', async () => {
    const args = [bed.nameOf('everything'), '--to', target, '--outside-links', '--no-owner'];
    expect((await bed.restore(args)).status).toBe(0);
    const owners = listDisk(join(target, 'everything'), 'x').map(({ uid, gid }) => `${uid}:${gid}`);
    expect(new Set(owners)).toEqual(new Set(['0:0']));
  });

  test('is told to people', async () => {
    const filename = bed.nameOf('small');
    const dry = await bed.tell([filename, '--to', target, '--dry-run']);
    expect(dry).toMatch(
      /^nothing was touched:\n1\. verified \S+ \(.*\)\n2\. would extract 8 entries with \d+ B of data, compare them with the manifest, and move them to \S+target\n$/,
    );
    expect(existsSync(target)).toBe(false);
    const told = await bed.tell([filename, '--to', target]);
    expect(told.trimEnd().split('\n').at(-1)).toMatch(
      new RegExp(`^restored ${filename} into ${target} in .*: 8 entries with \\d+ B of data, as recorded$`),
    );
  });
});

describe('the target', () => {
  test('may be there when it is empty, and a path relative to where one is', async () => {
    mkdirSync(target, { mode: 0o700 });
    const { answer } = await bed.restore([bed.nameOf('small'), '--to', `/proc/self/cwd${target}`]);
    expect(answer).toMatchObject({ success: true });
    expect(namesIn(join(target, 'small'))).toEqual(['notes.txt', 'photos']);
  });

  test('is refused when it is not empty, a file, below one, or without a parent', async () => {
    mkdirSync(target);
    writeFileSync(join(target, 'mine'), 'mine');
    writeFileSync(join(place, 'file'), '');
    symlinkSync('nowhere', join(place, 'dangling'));
    for (const [to, message, hint] of [
      [target, `${target} is not empty: it holds mine`, '--overwrite'],
      [join(place, 'file'), 'is not a directory', 'Name a directory'],
      [join(place, 'file/x'), 'lies below something that is no directory', 'Correct the path'],
      [join(place, 'a/b'), `${place}/a does not exist`, `mkdir -p ${place}/a`],
      [join(place, 'dangling'), 'is a symbolic link that leads nowhere', 'Remove it'],
    ] as const) {
      for (const dry of [[], ['--dry-run']]) {
        const error = await refused([bed.nameOf('small'), '--to', to, ...dry]);
        expect(error).toMatchObject({ code: 'TARGET_REFUSED' });
        expect(error.message).toContain(message);
        expect(error.hint).toContain(hint);
      }
    }
  });

  test('is merged into with --overwrite: names of the archive are replaced, others stay', async () => {
    mkdirSync(join(target, 'small/photos/2025'), { recursive: true });
    mkdirSync(join(target, 'small/photos/2026/b.jpg/deep'), { recursive: true });
    mkdirSync(join(target, 'other'));
    writeFileSync(join(place, 'outside'), 'outside');
    symlinkSync(join(place, 'outside'), join(target, 'small/notes.txt'));
    writeFileSync(join(target, 'small/photos/2025/mine'), 'mine');
    const args = [bed.nameOf('small'), '--to', target, '--overwrite'];
    // What holds something does not give way to a file.
    const kept = await refused([...args, '--dry-run']);
    expect(await refused(args)).toEqual(kept);
    expect(kept.message).toMatch(/where the archive has none: small\/photos\/2026\/b\.jpg$/);
    rmSync(join(target, 'small/photos/2026/b.jpg/deep'), { recursive: true });
    const told = await bed.tell([...args, '--dry-run']);
    expect(told).toContain(`and merge them into ${target}`);
    expect(told).toContain(
      `would replace 2 entries of ${target}: small/notes.txt; small/photos/2026/b.jpg\n`,
    );
    const { answer } = await bed.restore(args);
    expect(answer).toMatchObject({
      success: true,
      steps: expect.arrayContaining([`merged them into ${target}`]),
    });
    expect(namesIn(target)).toEqual(['other', 'small']);
    expect(namesIn(join(target, 'small/photos/2025'))).toEqual(['a.jpg', 'a.txt', 'mine']);
    expect(lstatSync(join(target, 'small/photos/2025')).mode & 0o777).toBe(0o750);
    expect(readFileSync(join(target, 'small/photos/2026/b.jpg'), 'utf8')).toBe(
      'photos/2026/b.jpg as it was\n',
    );
    expect(lstatSync(join(target, 'small/notes.txt')).isFile()).toBe(true);
    expect(readFileSync(join(place, 'outside'), 'utf8')).toBe('outside');
  });

  test('is refused where the backups are, whatever leads there', async () => {
    using copy = bed.copy();
    symlinkSync(copy.location, join(place, 'alias'));
    const before = listDisk(copy.location, 'location');
    for (const to of [copy.location, join(copy.location, 'files/x'), join(place, 'alias/manifests')]) {
      expect(
        await copy.refusal([copy.nameOf('small'), '--to', to, '--overwrite', '--dry-run']),
      ).toMatchObject({
        code: 'TARGET_REFUSED',
        message: expect.stringContaining('where the backups are'),
      });
    }
    expect(listDisk(copy.location, 'location')).toEqual(before);
  });

  test.runIf(isRoot && nobody !== undefined)('that this user may not write to is refused', async () => {
    using copy = bed.copy();
    giveToNobody(copy.dir);
    chmodSync(place, 0o555);
    const { answer } = await copy.restore([copy.nameOf('small'), '--to', target], { prefix: nobody ?? [] });
    expect(answer.error).toMatchObject({
      code: 'TARGET_REFUSED',
      message: `${place} cannot be written to: EACCES`,
      hint: expect.stringContaining('write permission'),
    });
  });
});

describe('--path', () => {
  test.each([
    ['a name at any depth', ['*.jpg'], ['small/photos/2025/a.jpg', 'small/photos/2026/b.jpg']],
    [
      'a directory with all below it',
      ['small/photos/2025'],
      ['small/photos/2025/a.jpg', 'small/photos/2025/a.txt'],
    ],
    ['several', ['small/notes.txt', '**/b.*'], ['small/notes.txt', 'small/photos/2026/b.jpg']],
  ])('takes %s', async (_what, globs, expected) => {
    const { answer } = await bed.restore([bed.nameOf('small'), '--to', target, '--path', ...globs]);
    expect(answer).toMatchObject({ success: true, differences: [] });
    const files = readdirSync(target, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(target.length + 1));
    expect(files.sort()).toEqual(expected);
  });

  test('that matches nothing is an error, and does not make an empty directory', async () => {
    const error = await refused([bed.nameOf('small'), '--to', target, '--path', '*.jpg', '*.png']);
    expect(error).toMatchObject({
      code: 'USAGE',
      message: 'nothing in the archive matches --path *.png',
    });
  });
});

describe('links that lead out', () => {
  test('are refused with the flag named, and made as they are with it', async () => {
    const args = [bed.nameOf('linked'), '--to', target];
    for (const dry of [[], ['--dry-run']]) {
      const error = await refused([...args, ...dry]);
      expect(error).toMatchObject({ code: 'ARCHIVE_UNSAFE' });
      expect(error.message).toContain('linked/absolute: a symbolic link out of the target, to /etc/passwd');
      expect(error.message).toContain('linked/up: a symbolic link out of the target, to ../../elsewhere');
      expect(error.message).not.toContain('linked/inside');
      expect(error.hint).toMatch(/^Nothing was touched\..*`--outside-links`/);
    }
    expect((await bed.restore([...args, '--outside-links'])).answer).toMatchObject({ success: true });
    expect(readlinkSync(join(target, 'linked/absolute'))).toBe('/etc/passwd');
    expect(readlinkSync(join(target, 'linked/up'))).toBe('../../elsewhere');
  });

  test('are no obstacle when others are chosen', async () => {
    const args = [bed.nameOf('linked'), '--to', target, '--path', 'linked/kept', 'linked/inside'];
    expect((await bed.restore(args)).answer).toMatchObject({ success: true, restored: { entries: 2 } });
  });
});
