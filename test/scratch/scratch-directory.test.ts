import { execFileSync } from 'node:child_process';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readFile,
  rename,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import { makeScratchDirectory } from '../../src/scratch/scratch-directory.ts';
import { sweepScratch } from '../../src/scratch/sweep-scratch.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { isRoot } from '../support/file-tree.ts';
import { withoutPrivileges } from '../support/privileges.ts';
import { namesIn, temporaryDirectory } from '../support/temp-directory.ts';
import { startHolder } from './holder.ts';

const NOBODY = 65_534;

/** What a maker that was killed left: its directory, whose name is returned. */
async function deadDirectory(parent: string, uid?: number): Promise<string> {
  const holder = await startHolder({ what: 'directory', parent, ...(uid === undefined ? {} : { uid }) });
  await holder.kill();
  return basename(dirname(holder.path));
}

/** A tree that is hard to remove. */
async function fillWithOddities(path: string): Promise<void> {
  await mkdir(join(path, 'locked', 'inner'), { recursive: true });
  await writeFile(join(path, 'locked', 'inner', 'file'), 'x', { mode: 0o000 });
  await chmod(join(path, 'locked', 'inner'), 0o000);
  await chmod(join(path, 'locked'), 0o000);
  await mkdir(join(path, '-rf'));
  await writeFile(Buffer.concat([Buffer.from(`${path}/`), Buffer.from([0xff, 0x0a, 0x80])]), 'x');
  // Longer than the longest path that the system takes.
  const deep = Array.from({ length: 15 }, () => 'd'.repeat(200)).join('/');
  execFileSync('mkdir', ['-p', deep], { cwd: path });
  execFileSync('mkdir', ['-p', deep], { cwd: join(path, deep) });
}

describe('a scratch directory', () => {
  test('is empty, for its maker only, and gone when it is disposed of', async () => {
    const parent = await temporaryDirectory();
    const made = await makeScratchDirectory(parent, NO_ABORT);
    expect(await namesIn(made.path)).toEqual([]);
    expect(basename(dirname(made.path))).toMatch(/^cofre-scratch-[A-Za-z0-9]{6}$/);
    expect(dirname(dirname(made.path))).toBe(parent);
    for (const path of [made.path, dirname(made.path)]) expect((await stat(path)).mode & 0o777).toBe(0o700);
    await made[Symbol.asyncDispose]();
    expect(await namesIn(parent)).toEqual([]);
  });

  test('is removed with whatever is in it', async () => {
    const parent = await temporaryDirectory();
    const made = await makeScratchDirectory(parent, NO_ABORT);
    await fillWithOddities(made.path);
    if (isRoot) {
      await mkdir(join(made.path, 'theirs'), { mode: 0o700 });
      await writeFile(join(made.path, 'theirs', 'file'), 'x');
      await chown(join(made.path, 'theirs'), NOBODY, NOBODY);
    }
    await symlink(parent, join(made.path, 'up'));
    await writeFile(join(parent, 'bystander'), '');
    await made[Symbol.asyncDispose]();
    expect(await namesIn(parent)).toEqual(['bystander']);
  });

  test('is removed also where file modes count', async () => {
    const parent = await temporaryDirectory();
    const holder = await startHolder({ what: 'directory', parent }, withoutPrivileges());
    await fillWithOddities(holder.path);
    await holder.release();
    expect(await namesIn(parent)).toEqual([]);
  });

  test('that cannot be made is not provable, and leaves nothing', async () => {
    const parent = await temporaryDirectory();
    await expect(makeScratchDirectory(join(parent, 'missing'), NO_ABORT)).rejects.toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining(join(parent, 'missing')) as string,
      hint: expect.stringContaining('scratch.directory') as string,
    });
    const reason = new BackupError('CANCELLED', 'stopped');
    await expect(makeScratchDirectory(parent, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(await namesIn(parent)).toEqual([]);
  });
});

describe('the sweep', () => {
  test('removes what a killed maker left, and nothing of one that lives', async () => {
    const parent = await temporaryDirectory();
    await using mine = await makeScratchDirectory(parent, NO_ABORT);
    const living = await startHolder({ what: 'directory', parent });
    const dead = await deadDirectory(parent);
    await fillWithOddities(join(parent, dead, 'w'));
    expect(await sweepScratch(parent, NO_ABORT)).toEqual([join(parent, dead)]);
    expect(await namesIn(parent)).toEqual(
      [mine.path, living.path].map((path) => basename(dirname(path))).sort(),
    );
    await living.release();
    expect(await sweepScratch(parent, NO_ABORT)).toEqual([]);
  });

  test('goes on with what an earlier one did not finish', async () => {
    const parent = await temporaryDirectory();
    const dead = await deadDirectory(parent);
    execFileSync('rm', ['-r', join(parent, dead, 'w')]);
    expect(await sweepScratch(parent, NO_ABORT)).toEqual([join(parent, dead)]);
    expect(await namesIn(parent)).toEqual([]);
  });

  test('may run twice at the same time', async () => {
    const parent = await temporaryDirectory();
    for (let made = 0; made < 3; made += 1)
      await fillWithOddities(join(parent, await deadDirectory(parent), 'w'));
    await Promise.all([sweepScratch(parent, NO_ABORT), sweepScratch(parent, NO_ABORT)]);
    expect(await namesIn(parent)).toEqual([]);
  });

  test('leaves alone what is not from us', async () => {
    const parent = await temporaryDirectory();
    const dead = await deadDirectory(parent);
    await rename(join(parent, dead), join(parent, 'real'));
    await symlink(join(parent, 'real'), join(parent, 'cofre-scratch-linked'));
    await writeFile(join(parent, 'cofre-scratch-plainf'), 'mine');
    await mkdir(join(parent, 'cofre-scratch-seven77'));
    await mkdir(join(parent, 'cofre-scratch-backup'));
    await writeFile(join(parent, 'cofre-scratch-backup', 'thesis'), 'mine');
    // A lock that is a link says nothing about who holds it.
    await mkdir(join(parent, 'cofre-scratch-lnlock'));
    await symlink(join(parent, 'real', '.lock'), join(parent, 'cofre-scratch-lnlock', '.lock'));
    const before = await namesIn(parent);
    expect(await sweepScratch(parent, NO_ABORT)).toEqual([]);
    expect(await namesIn(parent)).toEqual(before);
    expect(await namesIn(join(parent, 'real'))).toEqual(['.lock', 'w']);
    expect(await readFile(join(parent, 'cofre-scratch-backup', 'thesis'), 'utf8')).toBe('mine');
  });

  test('gives a maker time to lock its directory', async () => {
    const parent = await temporaryDirectory();
    const path = join(parent, 'cofre-scratch-abcdef');
    await mkdir(join(path, 'w'), { recursive: true });
    await writeFile(join(path, '.lock.new'), '');
    await utimes(path, 0, 0);
    expect(await sweepScratch(parent, NO_ABORT)).toEqual([]);
    expect(await namesIn(path)).toEqual(['.lock.new', 'w']);
  });

  test.runIf(isRoot)('as root removes those of others, and as another user only its own', async () => {
    const parent = await temporaryDirectory();
    await chmod(parent, 0o1777);
    const theirs = await deadDirectory(parent, NOBODY);
    const ours = await deadDirectory(parent);
    expect((await lstat(join(parent, theirs))).uid).toBe(NOBODY);
    const script = `
      const { sweepScratch } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/scratch/sweep-scratch.ts'))});
      process.setuid(1);
      console.log(JSON.stringify(await sweepScratch(process.argv[1], new AbortController().signal)));`;
    const args = ['--input-type=module', '-e', script, parent];
    expect(JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))).toEqual([]);
    expect(await namesIn(parent)).toEqual([theirs, ours].sort());
    expect((await sweepScratch(parent, NO_ABORT)).sort()).toEqual(
      [theirs, ours].sort().map((name) => join(parent, name)),
    );
    expect(await namesIn(parent)).toEqual([]);
  });

  test('of a parent that is not there finds nothing', async () => {
    expect(await sweepScratch(join(await temporaryDirectory(), 'missing'), NO_ABORT)).toEqual([]);
  });

  test('ends with the abort', async () => {
    const parent = await temporaryDirectory();
    const dead = await deadDirectory(parent);
    const reason = new BackupError('CANCELLED', 'stopped');
    await expect(sweepScratch(parent, AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(await namesIn(parent)).toEqual([dead]);
  });
});
