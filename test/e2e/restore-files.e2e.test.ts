import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type DiskEntry, fillWithEverything, isRoot, listDisk } from '../support/file-tree.ts';
import { asNobody, giveToNobody } from '../support/privileges.ts';
import { type RestoreAnswer, RestoreBed } from '../support/restoring.ts';
import { smallDisk } from '../support/small-disk.ts';
import { corruptByte } from '../support/workspace.ts';
import { archiveOf, type Member } from '../targets/files/archive.ts';

const STAGING = /^\.cofre-restore-/;

let bed: RestoreBed;
/** Gone when the test is over; the target of its restores does not exist in it. */
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
  const large = join(bed.dir, 'large');
  mkdirSync(large);
  for (let count = 0; count < 40; count += 1)
    writeFileSync(join(large, `f${count}`), randomText(200_000, count));
  const linked = join(bed.dir, 'linked');
  mkdirSync(linked);
  writeFileSync(join(linked, 'kept'), 'kept\n');
  symlinkSync('/etc/passwd', join(linked, 'absolute'));
  symlinkSync('../../elsewhere', join(linked, 'up'));
  symlinkSync('kept', join(linked, 'inside'));
  const files = (name: string, directory: string) => ({ type: 'files', name, directories: [directory] });
  await bed.fill([
    files('everything', everything),
    files('small', small),
    files('large', large),
    files('linked', linked),
  ]);
});

beforeEach(() => {
  place = mkdtempSync('/tmp/cofre-e2e-target-');
  target = join(place, 'target');
  const mine = place;
  onTestFinished(() => {
    execFileSync('chmod', ['-R', 'u+rwx', mine]);
    rmSync(mine, { recursive: true, force: true });
  });
});

afterAll(() => {
  execFileSync('chmod', ['-R', 'u+rwx', bed.dir]);
  bed[Symbol.dispose]();
});

/** Does not compress to nothing. */
function randomText(length: number, seed: number): string {
  let text = '';
  for (let at = seed * 7919; text.length < length; at += 1) text += (at * 2654435761).toString(36);
  return text.slice(0, length);
}

/** Below the target and beside it, with everything that a restore could change. */
function snapshot(): DiskEntry[] {
  return listDisk(place, 'place');
}

/** Runs a restore that must fail, and asserts that nothing at the place has changed. */
async function refused(
  args: string[],
  from = bed,
): Promise<Required<RestoreAnswer>['error'] & { status: number | null }> {
  const before = snapshot();
  const { status, answer } = await from.restore(args);
  expect(answer).toEqual({ error: expect.anything() });
  expect(snapshot()).toEqual(before);
  return { ...(answer.error as Required<RestoreAnswer>['error']), status };
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

  test('comes back for a user without rights, but for owners', async (context) => {
    const prefix = asNobody();
    if (prefix === undefined) return context.skip('this checkout cannot be read by others');
    using copy = bed.copy();
    giveToNobody(copy.dir);
    giveToNobody(place);
    const { status, answer } = await copy.restore(
      [copy.nameOf('everything'), '--to', target, '--outside-links'],
      { prefix },
    );
    expect(answer).toMatchObject({ success: true, differences: [] });
    expect(status).toBe(0);
    const withoutOwners = (entries: DiskEntry[]) => entries.map((entry) => ({ ...entry, uid: 0, gid: 0 }));
    expect(withoutOwners(listDisk(join(target, 'everything'), 'everything'))).toEqual(
      withoutOwners(listDisk(join(bed.dir, 'everything'), 'everything')),
    );
    expect(lstatSync(join(target, 'everything/setuid')).uid).toBe(lstatSync(place).uid);
  });

  test('is not given to its owners with --no-owner', async (context) => {
    if (!isRoot) return context.skip('only root gives files away');
    const args = [bed.nameOf('everything'), '--to', target, '--outside-links', '--no-owner'];
    expect((await bed.restore(args)).status).toBe(0);
    const owners = listDisk(join(target, 'everything'), 'x').map(({ uid, gid }) => `${uid}:${gid}`);
    expect(new Set(owners)).toEqual(new Set(['0:0']));
  });

  test('is told to people', async () => {
    const filename = bed.nameOf('small');
    const dry = await bed.tell([filename, '--to', target, '--dry-run']);
    expect(dry).toMatch(
      /^nothing was touched; without --dry-run:\n1\. would verify \S+ \(.*\), as was done just now\n2\. would extract 8 entries with \d+ B of data, compare them with the manifest, and move them to \S+target\n$/,
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
        expect(error).toMatchObject({ status: 1, code: 'TARGET_REFUSED' });
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
    expect(await bed.tell([...args, '--dry-run'])).toContain(`and merge them into ${target}`);
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

  test('that this user may not write to is refused before anything is read', async (context) => {
    const prefix = asNobody();
    if (prefix === undefined) return context.skip('this checkout cannot be read by others');
    using copy = bed.copy();
    giveToNobody(copy.dir);
    chmodSync(place, 0o555);
    if (!isRoot) return context.skip('the directory is our own');
    const { answer } = await copy.restore([copy.nameOf('small'), '--to', target], { prefix });
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
      status: 2,
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
      expect(error).toMatchObject({ status: 1, code: 'ARCHIVE_UNSAFE' });
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

describe('a hostile archive that verifies', () => {
  const file = (path: string, rest: Partial<Member> = {}): Member => ({ path, data: 'evil\n', ...rest });
  const top: Member = { path: 'small/', flag: '5' };

  test.each<[string, Member[], string]>([
    ['a path with ..', [top, file('small/../../escaped')], '..'],
    ['.. at its start', [top, file('../escaped')], '..'],
    ['an absolute path', [top, file('PLACE/escaped')], 'absolute'],
    [
      'a file through a link',
      [top, { path: 'small/l', flag: '2', link: 'PLACE' }, file('small/l/escaped')],
      'small/l',
    ],
    [
      'a file through a link to ..',
      [top, { path: 'small/l', flag: '2', link: '..' }, file('small/l/../escaped')],
      '..',
    ],
    [
      'a file in the place of a link',
      [top, { path: 'small/l', flag: '2', link: 'PLACE/victim' }, file('small/l')],
      'small/l',
    ],
    [
      'a hard link to a file outside',
      [top, { path: 'small/h', flag: '1', link: 'PLACE/victim' }, file('small/h')],
      'hard link',
    ],
    ['a hard link with ..', [top, { path: 'small/h', flag: '1', link: '../victim' }], '..'],
    [
      'a chain of links',
      [
        top,
        { path: 'small/a', flag: '2', link: 'b/..' },
        { path: 'small/b', flag: '2', link: '..' },
        file('small/a/escaped'),
      ],
      'small/',
    ],
    ['a device', [top, { path: 'small/null', flag: '3' }], 'device'],
  ])('with %s is refused, and nothing outside is touched', async (_what, members, named) => {
    writeFileSync(join(place, 'victim'), 'mine\n');
    using copy = bed.copy();
    const placed = members.map((member) => ({
      ...member,
      path: String(member.path).replace('PLACE', place),
      ...(member.link === undefined ? {} : { link: member.link.replace('PLACE', place) }),
    }));
    const filename = await copy.forge('small', () => archiveOf(...placed));
    const before = snapshot();
    for (const flags of [[], ['--outside-links']]) {
      const { status, answer } = await copy.restore([filename, '--to', target, ...flags]);
      // A link is made where it is asked for, and still nothing goes through it.
      if (answer.success === true) rmSync(target, { recursive: true });
      else
        expect(answer.error).toMatchObject({
          code: 'ARCHIVE_UNSAFE',
          message: expect.stringContaining(named),
        });
      if (flags.length === 0) expect(status).toBe(1);
      expect(snapshot().filter(({ path }) => path !== before[0]?.path)).toEqual(before.slice(1));
    }
  });
});

describe('an archive', () => {
  test('with a flipped bit, cut off, or gone is found out before the target is touched', async () => {
    using copy = bed.copy();
    const manifest = copy.of('large');
    const path = copy.path(manifest);
    const whole = readFileSync(path);
    const args = [manifest.filename, '--to', target];
    corruptByte(path);
    expect((await refused(args, copy)).code).toBe('ARCHIVE_CORRUPT');
    writeFileSync(path, whole.subarray(0, -1));
    expect((await refused(args, copy)).code).toBe('ARCHIVE_CORRUPT');
    rmSync(path);
    const gone = await refused(args, copy);
    expect(gone).toMatchObject({ status: 1, message: expect.stringContaining('is missing') });
    expect(gone.hint).toMatch(/^Nothing was touched\./);
  });
});

describe('a target that fills up', () => {
  test('is refused when it is known before, and is as it was when it is not', async (context) => {
    if (!isRoot) return context.skip('a file system of its own takes root');
    using disk = smallDisk(join(place, 'disk'), 4_000_000, true);
    if (disk.kind !== 'tmpfs') return context.skip('no tmpfs may be mounted here');
    const error = await bed.restore([bed.nameOf('large'), '--to', join(disk.path, 'target')]);
    expect(error.answer.error).toMatchObject({
      code: 'SPACE_LOW',
      message: expect.stringMatching(/are free at .*, the files take 7\.\d+ MB$/),
    });
    // Many small files take more than their bytes.
    using small = await new RestoreBed().fill([manySmallFiles()]);
    mkdirSync(join(disk.path, 'target'));
    writeFileSync(join(disk.path, 'target/mine'), 'mine');
    const before = listDisk(disk.path, 'disk');
    const { status, answer } = await small.restore([
      small.nameOf('many'),
      '--to',
      join(disk.path, 'target'),
      '--overwrite',
    ]);
    expect(status).toBe(1);
    expect(answer.error).toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringMatching(/no space left on the device; .*target is as it was before$/),
      hint: 'Free space on the file system of the target, or restore to a larger one.',
    });
    expect(listDisk(disk.path, 'disk')).toEqual(before);
  });

  function manySmallFiles(): Record<string, unknown> {
    const directory = join(place, 'many');
    mkdirSync(directory);
    for (let count = 0; count < 3_000; count += 1) writeFileSync(join(directory, `f${count}`), String(count));
    return { type: 'files', name: 'many', directories: [directory] };
  }
});

describe('a restore that ends in the middle', () => {
  /** Has the process send itself a signal as it makes one of the files. */
  async function inTheMiddle(args: string[], signal: NodeJS.Signals) {
    const preload = `
      import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      const { openSync } = fs;
      fs.openSync = (path, ...rest) => {
        if (String(path).endsWith('/tree/large/f20')) process.kill(process.pid, '${signal}');
        return openSync(path, ...rest);
      };
      syncBuiltinESMExports();`;
    const nodeArgs = ['--import', `data:text/javascript,${encodeURIComponent(preload)}`];
    return await bed.run(['restore', ...args], { nodeArgs });
  }

  test.each([false, true])(
    'by SIGKILL leaves a target (that is there: %s) untouched, and tells of it later',
    async (isThere) => {
      if (isThere) mkdirSync(target);
      const holder = isThere ? target : place;
      const finished = await inTheMiddle([bed.nameOf('large'), '--to', target], 'SIGKILL');
      expect(finished.signal).toBe('SIGKILL');
      const [staging = '', ...others] = namesIn(holder);
      expect(staging).toMatch(STAGING);
      expect(others).toEqual([]);
      const again = await bed.restore([bed.nameOf('large'), '--to', target]);
      if (isThere) {
        expect(again.answer.error?.message).toContain(
          `${staging} (left by a restore that was interrupted; remove it`,
        );
        rmSync(join(holder, staging), { recursive: true });
        expect((await bed.restore([bed.nameOf('large'), '--to', target])).answer).toMatchObject({
          success: true,
        });
      } else {
        expect(again.answer).toMatchObject({ success: true });
      }
      expect(readdirSync(join(target, 'large'))).toHaveLength(40);
    },
  );

  test('by Ctrl-C leaves nothing, and says so', async () => {
    const before = snapshot();
    const finished = await inTheMiddle([bed.nameOf('large'), '--to', target], 'SIGINT');
    expect(finished.status).toBe(1);
    expect(finished.json<RestoreAnswer>().error).toMatchObject({
      code: 'CANCELLED',
      message: expect.stringMatching(/cancelled by a signal; .*target was not made$/),
    });
    expect(snapshot()).toEqual(before);
  });
});
