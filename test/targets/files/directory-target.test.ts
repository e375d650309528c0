import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BackupError } from '../../../src/domain/errors.ts';
import { DirectoryTarget } from '../../../src/targets/files/directory-target.ts';
import { isRoot, listDisk } from '../../support/file-tree.ts';
import { smallDisk } from '../../support/small-disk.ts';
import { namesIn, temporaryDirectory } from '../../support/temp-directory.ts';
import { archiveOf, examine, extract, failureOf, type Member, OPTIONS, SIGNAL, streamOf } from './archive.ts';
import {
  directoryOfNobody,
  extractAsNobody,
  extractForever,
  giveToNobody,
  unlockedDirectory,
} from './nobody.ts';

const TREE: Member[] = [
  { path: 'top/', flag: '5', mode: 0o750, mtime_s: 5_000 },
  { path: 'top/a', data: 'new a' },
  { path: 'top/dir/', flag: '5', mode: 0o711, mtime_s: 6_000 },
  { path: 'top/dir/b', data: 'new b' },
  { path: 'top/link', flag: '2', link: 'a' },
];
const ARCHIVE = archiveOf(...TREE);

/** A directory with something in it, and everything about it as one value. */
async function occupied() {
  const target = join(await temporaryDirectory(), 'target');
  fs.mkdirSync(join(target, 'top/dir'), { recursive: true });
  fs.writeFileSync(join(target, 'top/a'), 'old a');
  fs.writeFileSync(join(target, 'top/stays'), 'old');
  fs.utimesSync(target, 1_000, 1_000);
  return { target, state: () => listDisk(target, 'target') };
}

describe('where a tree can be restored to', () => {
  test('is told: what is there, what is not, and the space', async () => {
    const home = await temporaryDirectory();
    const absent = await new DirectoryTarget(join(home, 'absent')).look();
    expect(absent).toMatchObject({ path: join(home, 'absent'), exists: false, occupants: [] });
    expect(absent.free_bytes).toBeGreaterThan(0);
    expect(await new DirectoryTarget(home).look()).toMatchObject({ exists: true, occupants: [] });
    for (const name of ['e', 'd', 'c', '\xff', 'b', 'a', '.cofre-restore-012345']) {
      fs.writeFileSync(Buffer.from(`${home}/${name}`, 'latin1'), '');
    }
    expect((await new DirectoryTarget(home).look()).occupants).toEqual([
      expect.stringMatching(/^\.cofre-restore-012345 \(left by a restore that was interrupted/),
      'a',
      'b',
      'c',
      'd',
      'and 2 more',
    ]);
  });

  test('a symbolic link to a directory is that directory', async () => {
    const home = await temporaryDirectory();
    fs.mkdirSync(join(home, 'real'));
    fs.symlinkSync('real', join(home, 'link'));
    await extract(ARCHIVE, join(home, 'link'));
    expect(await namesIn(join(home, 'real'))).toEqual(['top']);
    expect(fs.lstatSync(join(home, 'link')).isSymbolicLink()).toBe(true);
  });

  test.each([
    ['a file', 'file', /is not a directory/],
    ['a link that leads nowhere', 'dangling', /leads nowhere/],
    ['what lies below a file', 'file/below', /no directory/],
    ['what lies below nothing', 'none/below', /none does not exist/],
  ])('%s is refused', async (_, name, message) => {
    const home = await temporaryDirectory();
    fs.writeFileSync(join(home, 'file'), '');
    fs.symlinkSync('nothing', join(home, 'dangling'));
    const refused = { code: 'TARGET_REFUSED', message: expect.stringMatching(message) as string };
    expect(await failureOf(new DirectoryTarget(join(home, name)).look())).toMatchObject(refused);
    expect(await failureOf(extract(ARCHIVE, join(home, name)))).toMatchObject(refused);
    expect(await namesIn(home)).toEqual(['dangling', 'file']);
  });

  test('a directory that is not writable is refused', async () => {
    const holder = await directoryOfNobody();
    const archive = join(await temporaryDirectory(), 'archive');
    fs.writeFileSync(archive, ARCHIVE);
    fs.chmodSync(holder, 0o555);
    for (const target of [holder, join(holder, 'new')]) {
      const { error } = await extractAsNobody(archive, target);
      expect(error).toMatchObject({
        code: 'TARGET_REFUSED',
        message: expect.stringContaining('EACCES') as string,
      });
    }
  });
});

test('setuid and setgid bits that a filter of system calls refuses are told as such', async () => {
  // What RestrictSUIDSGID= of systemd makes of these calls.
  const filter = `
    import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    for (const name of ['chmodSync', 'fchmodSync']) {
      const real = fs[name];
      fs[name] = (at, mode) => {
        if ((mode & 0o6000) === 0) return real(at, mode);
        throw Object.assign(new Error('EPERM: operation not permitted, ' + name), { code: 'EPERM' });
      };
    }
    syncBuiltinESMExports();`;
  const nodeArgs = ['--import', `data:text/javascript,${encodeURIComponent(filter)}`];
  const archive = join(await temporaryDirectory(), 'archive');
  for (const [member, mode] of [
    [{ path: 'top/dir/', flag: '5', mode: 0o2775 }, '2775'],
    [{ path: 'top/program', mode: 0o4755 }, '4755'],
  ] as const) {
    const holder = await directoryOfNobody();
    fs.writeFileSync(archive, archiveOf(...TREE.slice(0, 1), member));
    expect((await extractAsNobody(archive, join(holder, 'new'), {}, nodeArgs)).error).toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringMatching(`the mode ${mode}, and this process may not set`) as string,
      hint: expect.stringContaining('RestrictSUIDSGID=yes') as string,
    });
    expect(await namesIn(holder)).toEqual([]);
    expect((await extractAsNobody(archive, join(holder, 'new'))).error).toBeUndefined();
  }
});

describe('where the backups are', () => {
  /** A location, and another path that leads to one of its directories. */
  async function location() {
    const home = await temporaryDirectory();
    const root = join(home, 'location');
    const disk = join(home, 'disk');
    fs.mkdirSync(join(root, 'manifests'), { recursive: true });
    fs.mkdirSync(join(disk, 'deep'), { recursive: true });
    fs.symlinkSync(disk, join(root, 'files'));
    const paths = [root, join(root, 'files'), join(root, 'manifests'), join(root, 'absent')];
    const at = (path: string) => new DirectoryTarget(path, paths);
    return { home, root, disk, at, state: () => listDisk(home, 'x') };
  }

  test('nothing is restored, whatever leads there', async () => {
    const { home, root, disk, at, state } = await location();
    fs.symlinkSync('location/manifests', join(home, 'alias'));
    const before = state();
    const targets = ['', 'new', 'manifests', 'manifests/new', 'files/deep'].map((path) => join(root, path));
    for (const target of [...targets, join(home, 'alias'), disk, join(disk, 'deep/new')]) {
      const refused = {
        code: 'TARGET_REFUSED',
        message: expect.stringContaining('where the backups are') as string,
      };
      expect(await failureOf(at(target).look())).toMatchObject(refused);
      const options = { ...OPTIONS, overwrite: true };
      const extraction = at(target).extract(streamOf(ARCHIVE), options, async () => undefined, SIGNAL);
      expect(await failureOf(extraction)).toMatchObject(refused);
    }
    expect(state()).toEqual(before);
  });

  test('no entry comes to lie by merging into a directory above; beside it, one does', async () => {
    const { home, at, state } = await location();
    const before = state();
    const merge = (...members: Member[]) =>
      at(home).extract(
        streamOf(archiveOf(...members)),
        { ...OPTIONS, overwrite: true },
        async () => undefined,
        SIGNAL,
      );
    for (const path of ['location/manifests/x', 'location/x', 'disk/deep/x']) {
      expect(await failureOf(merge({ path, data: 'x' }))).toMatchObject({
        code: 'TARGET_REFUSED',
        message: expect.stringMatching(/\/(?:location|disk) is .*, where the backups are$/) as string,
      });
    }
    expect(state()).toEqual(before);
    await merge({ path: 'beside/x', data: 'x' });
    expect(fs.existsSync(join(home, 'beside/x'))).toBe(true);
  });
});

describe('a directory that is not empty', () => {
  test('is refused, naming what is in it', async () => {
    const { target, state } = await occupied();
    const before = state();
    expect(await failureOf(extract(ARCHIVE, target))).toMatchObject({
      code: 'TARGET_REFUSED',
      message: expect.stringContaining('not empty: it holds top') as string,
      hint: expect.stringContaining('--overwrite') as string,
    });
    expect(state()).toEqual(before);
  });

  test('is merged into: what the archive has replaces, what it has not stays', async () => {
    const { target } = await occupied();
    await extract(ARCHIVE, target, { overwrite: true });
    expect(await namesIn(join(target, 'top'))).toEqual(['a', 'dir', 'link', 'stays']);
    expect(fs.readFileSync(join(target, 'top/a'), 'utf8')).toBe('new a');
    expect(fs.readFileSync(join(target, 'top/stays'), 'utf8')).toBe('old');
    for (const [path, mode, mtime_s] of [
      ['top', 0o750, 5_000],
      ['top/dir', 0o711, 6_000],
    ] as const) {
      const stat = fs.statSync(join(target, path));
      expect({ mode: stat.mode & 0o7777, mtime_ms: stat.mtimeMs }).toEqual({
        mode,
        mtime_ms: mtime_s * 1_000,
      });
    }
    expect(await namesIn(target)).toEqual(['top']);
  });

  test('has links and empty directories in the way of an entry replaced, never followed', async () => {
    const { target } = await occupied();
    const outside = await temporaryDirectory();
    fs.writeFileSync(join(outside, 'a'), 'outside');
    fs.rmSync(join(target, 'top/dir'), { recursive: true });
    fs.symlinkSync(outside, join(target, 'top/dir'));
    fs.rmSync(join(target, 'top/a'));
    fs.mkdirSync(join(target, 'top/a'));
    fs.symlinkSync(join(outside, 'a'), join(target, 'top/link'));
    await extract(ARCHIVE, target, { overwrite: true });
    expect(fs.lstatSync(join(target, 'top/dir')).isDirectory()).toBe(true);
    expect(fs.readFileSync(join(target, 'top/dir/b'), 'utf8')).toBe('new b');
    expect(fs.readFileSync(join(target, 'top/a'), 'utf8')).toBe('new a');
    expect(fs.readlinkSync(join(target, 'top/link'))).toBe('a');
    expect(await namesIn(outside)).toEqual(['a']);
    expect(fs.readFileSync(join(outside, 'a'), 'utf8')).toBe('outside');
    expect(await namesIn(target)).toEqual(['top']);
  });

  test('is left alone when a directory in it holds something where the archive has none, however deep', async () => {
    const { target, state } = await occupied();
    fs.rmSync(join(target, 'top/a'));
    fs.mkdirSync(join(target, 'top/a/full/of'), { recursive: true });
    fs.mkdirSync(join(target, 'top/dir/b/precious'), { recursive: true });
    fs.mkdirSync(join(target, 'top/link'));
    const before = state();
    expect(examine(ARCHIVE, { overwrite: true }, target).replacing).toEqual({
      replaced: ['top/link'],
      replaced_total: 1,
      kept: ['top/a', 'top/dir/b'],
      kept_total: 2,
    });
    expect(await failureOf(extract(ARCHIVE, target, { overwrite: true }))).toMatchObject({
      code: 'TARGET_REFUSED',
      message: `${target} has directories that hold something where the archive has none: top/a; top/dir/b`,
    });
    expect(state()).toEqual(before);
  });

  test('is surveyed without following what leads elsewhere', async () => {
    const { target } = await occupied();
    const outside = await temporaryDirectory();
    fs.writeFileSync(join(outside, 'b'), 'outside');
    fs.rmSync(join(target, 'top/dir'), { recursive: true });
    fs.symlinkSync(outside, join(target, 'top/dir'));
    const survey = (paths: string[]) => examine(ARCHIVE, { overwrite: true, paths }, target).replacing;
    expect(survey([])).toMatchObject({ replaced: ['top/a', 'top/dir'], kept: [] });
    // The directory above what is chosen takes its place all the same.
    expect(survey(['top/dir/b'])).toMatchObject({ replaced: ['top/dir'], kept: [] });
    expect(examine(ARCHIVE, {}, target).replacing).toBeUndefined();
    expect(examine(ARCHIVE, { overwrite: true }, join(target, 'absent')).replacing).toMatchObject({
      replaced_total: 0,
      kept_total: 0,
    });
  });

  test('has its own shut directories looked into as well, and shut again', async () => {
    const holder = await directoryOfNobody();
    const archive = join(await temporaryDirectory(), 'archive');
    fs.writeFileSync(archive, ARCHIVE);
    fs.mkdirSync(join(holder, 'top/a/full'), { recursive: true });
    giveToNobody(...['top', 'top/a', 'top/a/full'].map((path) => join(holder, path)));
    fs.chmodSync(join(holder, 'top'), 0o000);
    const before = listDisk(holder, 'x');
    expect((await extractAsNobody(archive, holder, { overwrite: true })).error).toMatchObject({
      code: 'TARGET_REFUSED',
      message: expect.stringMatching(/has none: top\/a$/) as string,
    });
    expect(listDisk(holder, 'x')).toEqual(before);
  });

  test('is merged into by a user without rights, whatever the modes of his own directories', async () => {
    const holder = await directoryOfNobody();
    const archive = join(await temporaryDirectory(), 'archive');
    const members: Member[] = [
      ...TREE.slice(0, 4),
      { path: 'top/shut/', flag: '5', mode: 0o555 },
      { path: 'top/shut/in', data: 'new' },
      { path: 'shut-too/', flag: '5', mode: 0o500 },
    ];
    fs.writeFileSync(archive, archiveOf(...members));
    fs.mkdirSync(join(holder, 'top/dir'), { recursive: true });
    fs.mkdirSync(join(holder, 'top/shut/old'), { recursive: true });
    giveToNobody(...['top', 'top/dir', 'top/shut', 'top/shut/old'].map((path) => join(holder, path)));
    fs.chmodSync(join(holder, 'top/shut'), 0o000);
    fs.chmodSync(join(holder, 'top'), 0o555);
    expect((await extractAsNobody(archive, holder, { overwrite: true })).error).toBeUndefined();
    const modes = ['top', 'top/shut', 'shut-too'].map((path) => fs.statSync(join(holder, path)).mode & 0o777);
    expect(modes).toEqual([0o750, 0o555, 0o500]);
    expect(await namesIn(join(holder, 'top/shut'))).toEqual(['in', 'old']);
    expect(await namesIn(holder)).toEqual(['shut-too', 'top']);
  });

  test.runIf(isRoot)('is left alone when something in it belongs to somebody else', async () => {
    const holder = await directoryOfNobody();
    const archive = join(await temporaryDirectory(), 'archive');
    fs.writeFileSync(archive, ARCHIVE);
    fs.mkdirSync(join(holder, 'top'), { mode: 0o755 });
    const before = listDisk(holder, 'x');
    expect((await extractAsNobody(archive, holder, { overwrite: true })).error).toMatchObject({
      code: 'TARGET_REFUSED',
      message: expect.stringContaining('/top belongs to somebody else') as string,
    });
    expect(listDisk(holder, 'x')).toEqual(before);
  });

  test.runIf(isRoot)('is left alone when something in the way cannot be moved', async () => {
    const holder = await directoryOfNobody();
    const archive = join(await temporaryDirectory(), 'archive');
    fs.writeFileSync(archive, archiveOf({ path: 'before', data: 'x' }, { path: 'kept', data: 'x' }));
    const refusal = { code: 'TARGET_REFUSED', message: expect.stringContaining('/kept belongs') as string };
    // A directory of somebody else gets no other parent.
    fs.mkdirSync(join(holder, 'kept'));
    expect((await extractAsNobody(archive, holder, { overwrite: true })).error).toMatchObject(refusal);
    expect(await namesIn(holder)).toEqual(['kept']);
    // A file of somebody else is replaced, but not in a directory like /tmp.
    fs.rmdirSync(join(holder, 'kept'));
    fs.writeFileSync(join(holder, 'kept'), 'old');
    fs.chownSync(holder, 0, 0);
    fs.chmodSync(holder, 0o1777);
    expect((await extractAsNobody(archive, holder, { overwrite: true })).error).toMatchObject(refusal);
    expect(await namesIn(holder)).toEqual(['kept']);
    giveToNobody(holder);
    expect((await extractAsNobody(archive, holder, { overwrite: true })).error).toBeUndefined();
    expect(fs.readFileSync(join(holder, 'kept'), 'utf8')).toBe('x');
  });

  test.runIf(isRoot)('is left alone when another file system is mounted in it', async () => {
    const { target, state } = await occupied();
    using disk = smallDisk(join(target, 'top/mounted'), 1_000_000, true);
    if (disk.kind !== 'tmpfs') return;
    const before = state();
    const archive = archiveOf({ path: 'a', data: 'a' }, { path: 'top/mounted/b', data: 'b' });
    expect(await failureOf(extract(archive, target, { overwrite: true }))).toMatchObject({
      code: 'TARGET_REFUSED',
      message: expect.stringContaining('mounted at') as string,
    });
    expect(state()).toEqual(before);
  });

  test('that gets an entry while it is restored into is left as it is', async () => {
    const target = await temporaryDirectory();
    const failure = failureOf(
      extract(ARCHIVE, target, {}, async () => fs.writeFileSync(join(target, 'top'), 'somebody')),
    );
    expect(await failure).toMatchObject({ code: 'TARGET_REFUSED' });
    expect(await namesIn(target)).toEqual(['top']);
    expect(fs.readFileSync(join(target, 'top'), 'utf8')).toBe('somebody');
  });
});

test.runIf(isRoot)('a failure while moving says what stands where, and keeps it', async () => {
  const target = await temporaryDirectory();
  fs.mkdirSync(join(target, 'b'));
  // A mount of the same file system is not told apart by its device, and cannot be moved away.
  try {
    execFileSync('mount', ['--bind', join(target, 'b'), join(target, 'b')], { stdio: 'pipe' });
  } catch {
    return;
  }
  try {
    const archive = archiveOf({ path: 'a', data: 'a' }, { path: 'b', data: 'b' }, { path: 'c', data: 'c' });
    const failure = await failureOf(extract(archive, target, { overwrite: true }));
    const [staging] = (await namesIn(target)).filter((name) => name.startsWith('.cofre-restore-'));
    expect(failure).toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringMatching(/EBUSY|EXDEV/) as string,
    });
    expect(failure).toMatchObject({
      message: expect.stringContaining(
        `holds a mixture: entries changed so far: 1; the rest of the archive is in ${target}/${staging}/tree`,
      ) as string,
    });
    expect(await namesIn(join(target, staging ?? '', 'tree'))).toEqual(['b', 'c']);
    expect(await namesIn(target)).toContain('a');
  } finally {
    execFileSync('umount', [join(target, 'b')]);
  }
});

describe('the target is as it was before when', () => {
  const FAULTS: [what: string, code: string, message: RegExp, fault: (target: string) => Promise<unknown>][] =
    [
      [
        'the archive ends early',
        'RESTORE_FAILED',
        /ends within an entry/,
        (target) => extract(ARCHIVE.subarray(0, 2_100), target, { overwrite: true }),
      ],
      [
        'reading the archive fails',
        'RESTORE_FAILED',
        /the store is gone/,
        (target) =>
          new DirectoryTarget(target).extract(
            (async function* () {
              yield ARCHIVE.subarray(0, 1_000);
              throw new BackupError('ARCHIVE_CORRUPT', 'the store is gone');
            })(),
            { ...OPTIONS, overwrite: true },
            async () => undefined,
            SIGNAL,
          ),
      ],
      [
        'the check throws',
        'RESTORE_FAILED',
        /it differs/,
        (target) =>
          extract(ARCHIVE, target, { overwrite: true }, async (directory) => {
            expect(await namesIn(directory)).toEqual(['top']);
            fs.chmodSync(join(directory, 'top/dir'), 0);
            throw new BackupError('CONTENTS_MISMATCH', 'it differs');
          }),
      ],
      [
        'a name is too long',
        'RESTORE_FAILED',
        /ENAMETOOLONG/,
        (target) => {
          const link = { path: 'l', flag: '2', link: 'x'.repeat(99) };
          const deep = Array.from({ length: 50 }, (_, n) => `${n}`.padEnd(90, 'x')).join('/');
          const pax = Buffer.from(`${` path=${deep}\n`.length + 4} path=${deep}\n`);
          const long = archiveOf({ path: 'PaxHeader', flag: 'x', data: pax.toString() }, { path: 'short' });
          return extract(Buffer.concat([archiveOf(link).subarray(0, 512), long]), target, {
            overwrite: true,
          });
        },
      ],
      [
        'a glob matches nothing',
        'USAGE',
        /--path nothing\*/,
        (target) => extract(ARCHIVE, target, { overwrite: true, paths: ['top', 'nothing*'] }),
      ],
    ];

  test.each(FAULTS)('%s', async (_, code, message, fault) => {
    const { target, state } = await occupied();
    const before = state();
    const failure = await failureOf(fault(target));
    expect(failure).toMatchObject({ code, message: expect.stringMatching(message) as string });
    const stateTold = (failure as BackupError).message.endsWith(' is as it was before');
    expect(stateTold).toBe(code === 'RESTORE_FAILED');
    expect((failure as BackupError).message).not.toContain('/proc/');
    expect(state()).toEqual(before);
    const absent = `${target}-absent`;
    expect(await failureOf(fault(absent))).toMatchObject({ code });
    expect(await namesIn(join(target, '..'))).toEqual(['target']);
  });

  test.each(['while it is read', 'while it is checked'])('the work is cancelled %s', async (when) => {
    const { target, state } = await occupied();
    const before = state();
    const controller = new AbortController();
    const reason = new BackupError('CANCELLED', 'told to stop');
    let read = 0;
    async function* raw() {
      for await (const chunk of streamOf(ARCHIVE, 512)) {
        read += 1;
        if (when === 'while it is read' && read === 4) controller.abort(reason);
        yield chunk;
      }
    }
    const options = { ...OPTIONS, overwrite: true };
    const check = async () => controller.abort(reason);
    const failure = failureOf(new DirectoryTarget(target).extract(raw(), options, check, controller.signal));
    expect(await failure).toMatchObject({
      code: 'CANCELLED',
      message: expect.stringMatching(/told to stop; .* as it was before/) as string,
    });
    expect(read).toBe(when === 'while it is read' ? 4 : Math.ceil(ARCHIVE.length / 512));
    expect(state()).toEqual(before);
  });

  test.runIf(isRoot)('the disk is full', async () => {
    const home = await temporaryDirectory();
    using disk = smallDisk(join(home, 'disk'), 1_000_000, true);
    if (disk.kind !== 'tmpfs') return;
    const archive = archiveOf(...TREE, { path: 'top/large', data: 'x'.repeat(2_000_000) });
    expect(await failureOf(extract(archive, join(disk.path, 'new')))).toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringMatching(/ENOSPC|no space left.*new was not made/) as string,
      hint: expect.stringContaining('Free space') as string,
    });
    expect(await namesIn(disk.path)).toEqual([]);
  });

  test('the check throws, of a user without rights and with directories that are shut', async () => {
    const holder = await directoryOfNobody();
    const archive = join(await temporaryDirectory(), 'archive');
    const shut: Member[] = [
      { path: 'top/shut/', flag: '5', mode: 0o000 },
      { path: 'top/shut/read-only/', flag: '5', mode: 0o555 },
      { path: 'top/shut/read-only/file', data: 'x' },
    ];
    fs.writeFileSync(archive, archiveOf(...TREE, ...shut));
    const { contents, error } = await extractAsNobody(archive, join(holder, 'new'), { failing: true });
    expect(contents).toBeUndefined();
    expect(error).toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringMatching(/8 entries; .*new was not made$/) as string,
    });
    expect(await namesIn(holder)).toEqual([]);
  });

  test('the program is killed', async () => {
    const holder = await directoryOfNobody();
    const child = extractForever(join(holder, 'new'));
    const exited = new Promise((resolve) => child.once('exit', resolve));
    await new Promise((resolve) => child.stdout?.once('data', resolve));
    child.kill('SIGKILL');
    await exited;
    const [staging, ...others] = await namesIn(holder);
    expect(staging).toMatch(/^\.cofre-restore-/);
    expect(others).toEqual([]);
    expect((await namesIn(join(holder, staging ?? '', 'tree/top'))).length).toBeGreaterThan(500);
    expect((await new DirectoryTarget(holder).look()).occupants).toEqual([
      expect.stringContaining('interrupted'),
    ]);
  });
});

describe('only what is chosen', () => {
  const CHOSEN = archiveOf(
    { path: 'top/', flag: '5', mode: 0o750, mtime_s: 5_000 },
    { path: 'top/a.jpg', data: 'a' },
    { path: 'top/dir/', flag: '5', mode: 0o705, mtime_s: 6_000 },
    { path: 'top/dir/b.txt', data: 'bb' },
    { path: 'top/dir/deep/', flag: '5' },
    { path: 'top/dir/deep/c.jpg', data: 'ccc' },
    { path: 'top/other/', flag: '5' },
    { path: 'top/other/hard', flag: '1', link: 'top/a.jpg' },
    { path: 'top/zdir/', flag: '5' },
    { path: 'top/zdir/out', flag: '2', link: '/etc' },
  );

  test.each([
    [['top/dir'], ['top', 'top/dir', 'top/dir/b.txt', 'top/dir/deep', 'top/dir/deep/c.jpg'], 4, 5],
    [['*.jpg'], ['top', 'top/a.jpg', 'top/dir', 'top/dir/deep', 'top/dir/deep/c.jpg'], 2, 4],
    [['top/*/*.txt', '/top/a.jpg'], ['top', 'top/a.jpg', 'top/dir', 'top/dir/b.txt'], 2, 3],
    [['other/', 'a.jpg'], ['top', 'top/a.jpg', 'top/other', 'top/other/hard'], 3, 1],
  ])('is restored, with the directories above it: %j', async (paths, expected, entries, bytes) => {
    const target = join(await temporaryDirectory(), 'new');
    const plan = { entries, bytes, refused: [], refused_total: 0, foreign_total: 0 };
    expect(examine(CHOSEN, { paths })).toEqual(plan);
    expect(await extract(CHOSEN, target, { paths })).toEqual(plan);
    const found = fs.readdirSync(target, { recursive: true, encoding: 'utf8' });
    expect(found.sort()).toEqual(expected);
    const top = fs.statSync(join(target, 'top'));
    expect({ mode: top.mode & 0o777, mtime_ms: top.mtimeMs }).toEqual({ mode: 0o750, mtime_ms: 5_000_000 });
  });

  test('and directories above it that are there keep their modes', async () => {
    const target = await temporaryDirectory();
    fs.mkdirSync(join(target, 'top'), { mode: 0o700 });
    await extract(CHOSEN, target, { paths: ['top/dir'], overwrite: true });
    const modes = ['top', 'top/dir'].map((path) => fs.statSync(join(target, path)).mode & 0o777);
    expect(modes).toEqual([0o700, 0o705]);
  });

  test('a hard link whose file is not chosen is refused, naming it', () => {
    expect(examine(CHOSEN, { paths: ['top/other'] })).toMatchObject({
      entries: 1,
      foreign_total: 0,
      refused: [{ path: 'top/other/hard', reason: expect.stringContaining('top/a.jpg') as string }],
    });
  });

  test('a glob that matches nothing is told by the examiner as well', () => {
    expect(() => examine(CHOSEN, { paths: ['top/none'] })).toThrow(
      expect.objectContaining({ code: 'USAGE', message: expect.stringContaining('top/none') as string }),
    );
  });
});

describe('attributes', () => {
  test('directories come after what is in them, in whatever order the archive has them', async () => {
    const target = join(await unlockedDirectory(), 'new');
    await extract(
      archiveOf(
        { path: 'a/b/c/file', data: 'x' },
        { path: 'a/', flag: '5', mode: 0o500, mtime_s: 1 },
        { path: 'a/b/', flag: '5', mode: 0o700, mtime_s: 2 },
        { path: 'a/b/', flag: '5', mode: 0o500, mtime_s: 3 },
        { path: 'a/b/d', flag: '2', link: 'c' },
        { path: 'implied/file', data: 'x' },
      ),
      target,
    );
    const of = (path: string) => {
      const { mode, mtimeMs } = fs.statSync(join(target, path));
      return [mode & 0o777, mtimeMs / 1_000];
    };
    expect([of('a'), of('a/b')]).toEqual([
      [0o500, 1],
      [0o500, 3],
    ]);
    // That of any new directory.
    const fresh = fs.statSync(fs.mkdtempSync(join(target, 'a/b/c/'))).mode;
    expect(fresh & 0o777).toBe(0o700);
    expect(of('a/b/c')[0]).toBe(of('implied')[0]);
    expect(of('implied')[0]).toBe(fs.statSync(target).mode & 0o777);
  });

  test.runIf(isRoot)('owners go by their names here, then by their numbers', async () => {
    const target = join(await temporaryDirectory(), 'new');
    const archive = archiveOf(
      { path: 'named', uid: 4_711, uname: 'daemon', mode: 0o4755 },
      { path: 'numbered', uid: 4_711, uname: 'nobody-has-this-name' },
      { path: 'link', flag: '2', link: 'named', uid: 12 },
    );
    const daemon = Number(/^daemon:[^:]*:(\d+):/m.exec(fs.readFileSync('/etc/passwd', 'utf8'))?.[1]);
    await extract(archive, target, { owners: true });
    const uids = ['named', 'numbered', 'link'].map((path) => fs.lstatSync(join(target, path)).uid);
    expect(uids).toEqual([daemon, 4_711, 12]);
    expect(fs.statSync(join(target, 'named')).mode & 0o7777).toBe(0o4755);
    await extract(archive, `${target}-ours`);
    expect(fs.lstatSync(join(`${target}-ours`, 'numbered')).uid).toBe(0);
  });
});
