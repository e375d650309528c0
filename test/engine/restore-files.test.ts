import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import type { FilesContents } from '../../src/domain/manifest.ts';
import { restore } from '../../src/engine/restore.ts';
import type { RestoreReport } from '../../src/engine/restore-request.ts';
import { DirectoryTarget } from '../../src/targets/files/directory-target.ts';
import { readTree } from '../../src/targets/files/read-tree.ts';
import { TarTreeInspector } from '../../src/inspect/tar-tree.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { addBackup, journalEntries } from '../support/stock.ts';
import { openTestLocation } from '../support/test-location.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';
import { archiveOf } from '../targets/files/archive.ts';

const FILENAME = 'files_backup_tree_20261118_020000.tar.gz';
const TAR = archiveOf(
  { path: 'tree/', flag: '5' },
  { path: 'tree/a', data: 'a\n' },
  { path: 'tree/b', data: 'bb\n' },
);

/** Restores an archive of two files below `target`, with what the test puts in place of the real thing. */
async function bed(overrides: { readTree?: typeof readTree; during?: (stop: AbortController) => void } = {}) {
  const stop = new AbortController();
  const location = await openTestLocation({
    restoring: {
      openDirectory: (path, protectedPaths) => new DirectoryTarget(path, protectedPaths),
      readTree: async (...args) => {
        overrides.during?.(stop);
        return await (overrides.readTree ?? readTree)(...args);
      },
    },
  });
  const inspector = new TarTreeInspector();
  inspector.write(TAR);
  const contents: FilesContents = await inspector.end();
  const stored = gzipSync(TAR);
  const hash = createHash('sha256').update(stored).digest('hex');
  await addBackup(location, FILENAME, {
    contents,
    directories: ['tree'],
    raw_size: TAR.length,
    size: stored.length,
    hash,
  });
  const path = location.location.archivePath('files', FILENAME);
  await writeFile(path, stored);
  const place = await temporaryDirectory();
  const target = join(place, 'target');
  const run = async (
    paths: string[] = [],
    { dryRun = false, overwrite = false, to = target } = {},
  ): Promise<RestoreReport> =>
    await restore(
      location.context,
      {
        filename: FILENAME,
        to,
        dryRun,
        actor: 'cli:tester',
        database: {} as never,
        files: { paths, overwrite, outsideLinks: false, owners: false },
      },
      AbortSignal.any([NO_ABORT, stop.signal]),
    );
  return { ...location, place, target, path, run };
}

async function failureOf(promise: Promise<unknown>): Promise<BackupError> {
  const error = await promise.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(BackupError);
  return error as BackupError;
}

test('what is read again from the disk must be the tree that was recorded, or nothing is moved into place', async () => {
  const { run, place } = await bed({
    readTree: async (root, ...args) => {
      chmodSync(join(root, 'tree/a'), 0o600);
      rmSync(join(root, 'tree/b'), { force: true });
      utimesSync(join(root, 'tree'), 1_000, 1_000);
      return await readTree(root, ...args);
    },
  });
  const { code, message, hint } = await failureOf(run());
  expect(code).toBe('RESTORE_FAILED');
  expect(message).toMatch(
    /is not what was recorded: 2 entries differ: tree\/a \(mode 0600 instead of 0644\); tree\/b \(missing\); nothing was moved into place; .*target was not made$/,
  );
  expect(hint).toContain('Restore to another one.');
  expect(readdirSync(place)).toEqual([]);
});

test('a disk that does not read the same twice is told as such', async () => {
  const { run, place } = await bed({
    readTree: async (...args) => ({ ...(await readTree(...args)), digest: '0'.repeat(64) }),
  });
  const { code, message, hint } = await failureOf(run());
  expect(code).toBe('RESTORE_FAILED');
  expect(message).toMatch(/no entry that differs when it was read once more; .*target was not made$/);
  expect(hint).toContain('does not read the same twice');
  expect(readdirSync(place)).toEqual([]);
});

test('what is read again is the whole tree in the place where it was gathered', async () => {
  const roots: string[] = [];
  const { run, target } = await bed({
    readTree: async (root, directories, signal) => {
      roots.push(root);
      expect(directories).toEqual(['tree']);
      expect(existsSync(target)).toBe(false);
      return await readTree(root, directories, signal);
    },
  });
  expect(await run()).toMatchObject({ differences: [], compared: true, restored: { entries: 3, bytes: 5 } });
  expect(roots).toEqual([expect.stringMatching(/\.cofre-restore-\w+\/tree$/)]);
});

test('a choice is not read again, which is said', async () => {
  const { run, target } = await bed({
    readTree: async () => await Promise.reject(new Error('there is nothing to compare it with')),
  });
  const { steps, restored, compared } = await run(['tree/b']);
  expect(compared).toBe(false);
  expect(restored).toEqual({ entries: 1, bytes: 3 });
  expect(steps.join('\n')).toContain('did not read them again');
  expect(readdirSync(join(target, 'tree'))).toEqual(['b']);
});

test('a restore that is stopped while it compares says that the target was not made', async () => {
  const one = await bed({
    during: (stop) => stop.abort(new BackupError('CANCELLED', 'cancelled by a signal')),
  });
  const { code, message } = await failureOf(one.run());
  expect(code).toBe('CANCELLED');
  expect(message).toMatch(/: cancelled by a signal; .*target was not made$/);
  expect(readdirSync(one.place)).toEqual([]);
  expect((await journalEntries(one)).at(-1)).toMatchObject({ outcome: 'cancelled', errors: [{ message }] });
});

test('a dry run verifies, and is wrong usage where a glob matches nothing', async () => {
  const one = await bed();
  expect(await one.run([], { dryRun: true })).toMatchObject({
    dry_run: true,
    steps: [
      expect.stringMatching(/^verified \S+ \(.*\)$/),
      expect.stringMatching(/^would extract 3 entries with 5 B of data, compare .* and move them to /),
    ],
  });
  expect((await failureOf(one.run(['*.jpg'], { dryRun: true }))).code).toBe('USAGE');
  await rm(one.path);
  expect((await failureOf(one.run([], { dryRun: true }))).code).toBe('ARCHIVE_CORRUPT');
  expect(readdirSync(one.place)).toEqual([]);
  expect(await journalEntries(one)).toEqual([]);
});

test('a dry run of a merge says what would be replaced, and what would not give way is refused', async () => {
  const { run, target } = await bed();
  const dry = async () => (await run([], { dryRun: true, overwrite: true })).steps.at(-1);
  mkdirSync(join(target, 'tree'), { recursive: true });
  writeFileSync(join(target, 'tree/mine'), '');
  expect(await dry()).toBe(`would replace nothing that is in ${target}`);
  for (const name of ['a', 'b']) writeFileSync(join(target, 'tree', name), 'old');
  expect(await dry()).toBe(`would replace 2 entries of ${target}: tree/a; tree/b`);
  rmSync(join(target, 'tree/a'));
  mkdirSync(join(target, 'tree/a/full'), { recursive: true });
  for (const dryRun of [true, false]) {
    expect(await failureOf(run([], { dryRun, overwrite: true }))).toMatchObject({
      code: 'TARGET_REFUSED',
      message: expect.stringMatching(/hold something where the archive has none: tree\/a$/) as string,
    });
  }
  expect(readdirSync(join(target, 'tree'))).toEqual(['a', 'b', 'mine']);
  expect(readFileSync(join(target, 'tree/b'), 'utf8')).toBe('old');
  await run(['tree/b'], { overwrite: true });
  expect(readFileSync(join(target, 'tree/b'), 'utf8')).toBe('bb\n');
});

test('nothing is restored to where the backups are', async () => {
  const { run, root } = await bed();
  for (const to of ['', 'files', 'files/new', 'manifests', 'elsewhere']) {
    expect(await failureOf(run([], { overwrite: true, to: join(root, to) }))).toMatchObject({
      code: 'TARGET_REFUSED',
      message: expect.stringContaining('where the backups are') as string,
    });
  }
  expect(readdirSync(join(root, 'files'))).toEqual([FILENAME]);
});
