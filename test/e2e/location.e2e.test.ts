import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openRuns } from '../support/aftermath.ts';
import { withoutPrivileges } from '../support/privileges.ts';
import { smallDisk } from '../support/small-disk.ts';
import { waitFor } from '../support/wait-for.ts';
import {
  type BackupAnswer,
  corruptByte,
  type ErrorAnswer,
  type VerifyAnswer,
  Workspace,
} from '../support/workspace.ts';

const DISK_BYTES = 1024 * 1024;

const DISKS = [
  // Where nothing may be mounted this one is simulated too, and its annotation says so.
  { name: 'a small file system', mount: true },
  { name: 'a disk that does not take one more byte', mount: false },
];

test.for(DISKS)('disk full reported as success: not on $name', async ({ mount }, { annotate }) => {
  using workspace = new Workspace();
  using disk = smallDisk(join(workspace.dir, 'disk'), DISK_BYTES, mount);
  await annotate(`the full disk of this test: ${disk.kind}`);
  workspace.location = join(disk.path, 'location');
  workspace.configure({
    compression: 'none',
    jobs: { app: workspace.filesJob() },
    retention: { days: 0, keepLast: 1 },
  });
  const big = join(workspace.tree, 'big');

  const first = (await workspace.run(['backup', 'app'], disk.options)).json<BackupAnswer>().runs[0]
    ?.archives[0];
  if (first === undefined) throw new Error('the first backup failed');

  // It grows beyond what its last archive made expect: found while writing.
  writeFileSync(big, randomBytes(2 * DISK_BYTES));
  const grown = await workspace.run(['backup', 'app'], disk.options);
  expect(grown.status).toBe(1);
  expect(grown.json<BackupAnswer>().runs).toMatchObject([
    { outcome: 'failed', archives: [], errors: [{ code: 'DISK_FULL', source: 'tree' }] },
  ]);
  expect(workspace.remains()).toEqual([]);
  expect(workspace.ended('app').map(({ outcome }) => outcome)).toEqual(['succeeded', 'failed']);
  expect((await workspace.run(['verify', '--all'], disk.options)).status).toBe(0);

  // What fits is backed up; then another does not fit any more: found before a byte is written.
  writeFileSync(big, randomBytes(DISK_BYTES / 4));
  const second = await workspace.run(['backup', 'app'], disk.options);
  expect(second.status).toBe(0);
  disk.fill();
  const low = await workspace.run(['backup', 'app'], disk.options);
  expect(low.status).toBe(1);
  expect(low.stdout).toMatch(/SPACE_LOW|DISK_FULL/);
  expect(low.stdout).not.toContain('INTERNAL');
  expect((await workspace.run(['check'], disk.options)).stdout).toContain('SPACE_LOW');
  expect(workspace.remains()).toEqual([]);
  const listed = await workspace.run(['list'], disk.options);
  expect(listed.json<{ count: number }>().count).toBe(2);
  // The verdict is on the archives, whether or not it can be written down.
  const verified = await workspace.run(['verify', '--all'], disk.options);
  expect(verified.json<VerifyAnswer>().results.map(({ valid }) => valid)).toEqual([true, true]);
  expect(verified.status).toBe(0);

  // A daemon starts all the same, says so, and is as usual once there is space.
  {
    await using daemon = await workspace.startDaemon(disk.options);
    expect((await daemon.get('/livez')).status).toBe(200);
    expect((await daemon.health()).status).toBeGreaterThanOrEqual(200);
    expect(await daemon.stop()).toMatchObject({ status: 0 });
  }
  const pruned = await workspace.run(['prune'], disk.options);
  expect(pruned.json<{ removed_count: number }>().removed_count).toBe(1);
  disk.free();
  writeFileSync(big, 'small again');
  const after = await workspace.run(['backup', 'app'], disk.options);
  expect(after.json()).toMatchObject({ success: true });
  expect((await workspace.run(['verify', '--all'], disk.options)).status).toBe(0);
  // A deletion that could not be recorded has its marker until a start or a prune finishes it.
  await using daemon = await workspace.startDaemon(disk.options);
  expect(workspace.remains()).toEqual([]);
  expect((await daemon.health()).status).toBe(200);
  expect(openRuns(workspace.journal())).toEqual([]);
  const index = join(workspace.location, 'backups_metadata.json');
  await waitFor('the index', async () => {
    const published = JSON.parse(readFileSync(index, 'utf8')) as unknown[];
    return published.length === (await workspace.list()).length;
  });
  expect(await daemon.stop()).toMatchObject({ status: 0 });
});

test('a location that is missing is not made by a command that looks at backups', async () => {
  using workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob() } });
  for (const args of [['list'], ['verify', '--all'], ['prune'], ['delete', 'x']]) {
    const finished = await workspace.run(args);
    expect([args, finished.status]).toEqual([args, 1]);
    expect(finished.json<ErrorAnswer>().error).toMatchObject({
      code: 'LOCATION_UNUSABLE',
      path: workspace.location,
    });
  }
  expect(existsSync(workspace.location)).toBe(false);
});

test('a location that is no mount point is refused where one is asked for, and stays empty', async () => {
  using workspace = new Workspace();
  workspace.configure({ requireMount: true, jobs: { app: workspace.filesJob() } });
  mkdirSync(workspace.location);
  for (const args of [['backup'], ['list'], ['check']]) {
    const finished = await workspace.run(args);
    expect([args, finished.status]).toEqual([args, 1]);
    expect(finished.stdout).toContain('LOCATION_UNUSABLE');
    expect(finished.stdout).toContain('requireMount');
  }
  await using daemon = workspace.spawnDaemon();
  expect(await daemon.exited).toEqual({ status: 1, signal: null });
  expect(readdirSync(workspace.location)).toEqual([]);
});

test('a location that cannot be written to is an error of the command, not of each source', async () => {
  using workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob() } });
  const { filename } = await workspace.backup('app');
  for (const directory of ['files', 'manifests']) chmodSync(join(workspace.location, directory), 0o500);
  const finished = await workspace.run(['backup'], { prefix: withoutPrivileges() });
  expect(finished.status).toBe(1);
  const { error } = finished.json<ErrorAnswer>();
  expect(error).toMatchObject({ code: 'LOCATION_UNUSABLE', path: workspace.location });
  expect(error.hint).toContain('write access');
  for (const directory of ['files', 'manifests']) chmodSync(join(workspace.location, directory), 0o700);
  expect((await workspace.list()).map((backup) => backup.filename)).toEqual([filename]);
});

test('looking at backups works where nothing can be written, and a verdict that cannot be recorded counts', async () => {
  using workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob() } });
  const { filename, verification } = await workspace.backup('app');
  const good = await workspace.backup('app');
  rmSync(join(workspace.location, 'database'), { recursive: true });
  const directories = ['', 'files', 'manifests', '.locks'].map((name) => join(workspace.location, name));
  for (const directory of directories) chmodSync(directory, 0o500);
  const options = { prefix: withoutPrivileges() };
  for (const args of [['list'], ['show', filename], ['prune', '--dry-run'], ['schedule']]) {
    const finished = await workspace.run(args, options);
    expect([args, finished.status]).toEqual([args, 0]);
  }
  const verified = await workspace.run(['verify', '--all'], options);
  expect(verified.status).toBe(0);
  expect(verified.json<VerifyAnswer>().results).toMatchObject([
    { filename, valid: true, detail: expect.stringContaining('could not be recorded') },
    { filename: good.filename, valid: true },
  ]);
  for (const args of [['backup'], ['prune'], ['pin', filename], ['delete', filename]]) {
    const finished = await workspace.run(args, options);
    expect([args, finished.json<ErrorAnswer>().error.code]).toEqual([args, 'LOCATION_UNUSABLE']);
  }

  for (const directory of directories) chmodSync(directory, 0o700);
  corruptByte(workspace.path(good));
  rmSync(workspace.path({ type: 'files', filename }));
  for (const directory of directories) chmodSync(directory, 0o500);
  const faulty = await workspace.run(['verify', '--all'], options);
  expect(faulty.status).toBe(1);
  expect(faulty.json<VerifyAnswer>().results.map(({ valid }) => valid)).toEqual([false, false]);

  // Without the whole directory of archives there is the more to be told.
  for (const directory of directories) chmodSync(directory, 0o700);
  rmSync(join(workspace.location, 'files'), { recursive: true });
  chmodSync(workspace.location, 0o500);
  expect((await workspace.run(['list'], options)).json<{ count: number }>().count).toBe(2);
  const lost = await workspace.run(['verify', '--all'], options);
  expect(lost.status).toBe(1);
  expect(lost.json<VerifyAnswer>().results.map(({ valid }) => valid)).toEqual([false, false]);
  chmodSync(workspace.location, 0o700);
  expect(verification.ok).toBe(true);
});

test('a location that becomes read-only under a daemon makes it not ready and fails its runs, until it is back', async () => {
  using workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob('*/2 * * * * *') } });
  await using daemon = await workspace.startDaemon({ prefix: withoutPrivileges() });
  await waitFor('a success', () => workspace.ended('app').length > 0);
  const directory = join(workspace.location, 'files');
  chmodSync(directory, 0o500);
  await waitFor('a failure', () => workspace.ended('app').at(-1)?.outcome === 'failed');
  expect((await daemon.get('/readyz')).status).toBe(503);
  expect((await daemon.get('/livez')).status).toBe(200);
  expect((await daemon.health()).status).toBe(503);
  chmodSync(directory, 0o700);
  await waitFor('a success', () => workspace.ended('app').at(-1)?.outcome === 'succeeded');
  expect((await daemon.get('/readyz')).status).toBe(200);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
});

test('whoever runs a command, what it writes belongs to the owner of the location and is private', async () => {
  using workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob() }, retention: { days: 0, keepLast: 2 } });
  mkdirSync(workspace.location);
  // Root works for another user; anybody else can only work for himself.
  const owner = process.getuid?.() === 0 ? 65_534 : (process.getuid?.() ?? 0);
  chownSync(workspace.location, owner, owner === 65_534 ? owner : (process.getgid?.() ?? 0));
  for (let count = 0; count < 4; count += 1) await workspace.backup('app');
  const [oldest, next] = await workspace.list();
  if (oldest === undefined || next === undefined) throw new Error('no backups');
  await workspace.run(['pin', next.filename]);
  await workspace.run(['verify', '--all']);
  expect((await workspace.run(['prune'])).json<{ removed_count: number }>().removed_count).toBe(1);
  await workspace.run(['unpin', next.filename]);
  await workspace.run(['delete', next.filename]);
  await workspace.run(['check']);
  {
    await using daemon = await workspace.startDaemon();
    expect(await daemon.stop()).toMatchObject({ status: 0 });
  }
  const entries = readdirSync(workspace.location, { recursive: true, withFileTypes: true });
  const seen = entries.map((entry) => {
    const { uid, mode } = statSync(join(entry.parentPath, entry.name));
    return `${entry.isDirectory() ? 'directory' : 'file'} ${uid} ${(mode & 0o777).toString(8)}`;
  });
  expect([...new Set(seen)].toSorted()).toEqual([`directory ${owner} 700`, `file ${owner} 600`]);
  expect(entries.length).toBeGreaterThan(10);
});
