import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Manifest, Verdict } from '../../src/domain/manifest.ts';
import { type Cluster, startCluster } from '../../tools/cluster.ts';
import { FULL_DATABASE, FULL_ROLES } from '../support/full-database.ts';
import { DrillBed, expectNothingLeft, type Moment, running } from '../support/drill-bed.ts';
import { isAlive } from '../support/processes.ts';
import { dumpedLines, RestoreBed } from '../support/restore-bed.ts';
import { smallDisk } from '../support/small-disk.ts';
import { waitFor } from '../support/wait-for.ts';
import { type BackupAnswer, corruptByte, type Json, type VerifyAnswer } from '../support/workspace.ts';

const OBJECTS = `SELECT lo_from_bytea(71001, convert_to(repeat('large ', 30000), 'UTF8'));
  SELECT lo_create(71002);`;
const PG_DUMP = /pg_dump .*--format=directory/;

let cluster: Cluster;
/** Has the roles of the source. */
let target: Cluster;
let bed: RestoreBed;

beforeAll(async () => {
  [cluster, target] = await Promise.all([startCluster(), startCluster()]);
  await Promise.all([cluster, target].map(async (each) => await each.psql('postgres', FULL_ROLES)));
  await cluster.createDatabase('full');
  await cluster.psql('full', `${FULL_DATABASE} ${OBJECTS}`);
  await cluster.createDatabase('locked');
  await cluster.psql('locked', 'CREATE TABLE t AS SELECT generate_series(1, 1000) AS id');
  bed = await new RestoreBed().backUp([
    database('full', 'full_directory', { format: 'directory', dumpJobs: 3 }),
    database('full', 'full_custom', { format: 'custom' }),
  ]);
});

afterAll(async () => {
  bed[Symbol.dispose]();
  await Promise.all([cluster, target].map(async (each) => await each[Symbol.asyncDispose]()));
});

function database(of: string, name: string, rest: Json = { format: 'directory' }): Json {
  return { type: 'postgres', name, url: cluster.urlOf(of), ...rest };
}

describe('an archive in the directory format', () => {
  test('records what one in the custom format does', () => {
    const [found, custom] = [bed.of('full_directory'), bed.of('full_custom')];
    expect(found.filename).toMatch(/^db_backup_full_directory_\d{8}_\d{6}\.dir\.tar\.gz$/);
    expect(found).toMatchObject({ format: 'directory', type: 'database', verification: { ok: true } });
    expect(found.contents).toEqual(custom.contents);
    expect(bed.left()).toEqual([]);
  });

  test('is listed, shown, verified and compared like any other', async () => {
    const { filename } = bed.of('full_directory');
    const verified = (await bed.run(['verify', filename])).json<VerifyAnswer>();
    expect(verified.results).toMatchObject([{ filename, valid: true, level: 'contents' }]);
    expect((await bed.run(['show', filename])).json<Manifest>()).toMatchObject({ format: 'directory' });
    const diff = await bed.run(['diff', filename, bed.nameOf('full_custom')]);
    expect(diff.status).toBe(0);
    expect(diff.json<{ tables: unknown[] }>()).toMatchObject({ identical: true });
    expectNothingLeft(bed);
  });

  test('that changed on the disk does not verify', async () => {
    using copy = bed.copy();
    const manifest = copy.of('full_directory');
    corruptByte(copy.path(manifest));
    const { status, ...finished } = await copy.run(['verify', manifest.filename]);
    expect(finished.json<VerifyAnswer>().results).toMatchObject([{ valid: false }]);
    expect(status).toBe(1);
  });

  test('gets its manifest back from its bytes', async () => {
    using copy = bed.copy();
    const manifest = copy.of('full_directory');
    rmSync(copy.manifestPath(manifest.filename));
    expect((await copy.run(['catalogue', 'rebuild'])).status).toBe(0);
    const { contents, raw_size, hash, server_version, tool_version } = manifest;
    expect(copy.manifestOf(manifest.filename)).toMatchObject({
      format: 'directory',
      rebuilt: true,
      contents,
      raw_size,
      hash,
      server_version,
      tool_version,
    });
  });
});

describe('a restore', () => {
  test('brings everything back, with as many jobs as it is told', async () => {
    const filename = bed.nameOf('full_directory');
    const args = [filename, '--to', target.urlOf('back'), '--create', '--jobs', '4'];
    const { status, answer } = await bed.restore(args);
    expect(answer.error).toBeUndefined();
    expect(answer).toMatchObject({ success: true, differences: [], restored: { tables: 19, rows: 1_719 } });
    expect(status).toBe(0);
    expect(await dumpedLines(target, 'back')).toEqual(await dumpedLines(cluster, 'full'));
    expectNothingLeft(bed);
  });

  test('of a schema or a table brings these alone', async () => {
    const filename = bed.nameOf('full_directory');
    const args = [
      '--to',
      target.urlOf('part'),
      '--create',
      '--schema',
      'shop',
      '--table',
      'cache',
      '--no-owner',
    ];
    const { answer } = await bed.restore([filename, ...args]);
    expect(answer.error).toBeUndefined();
    expect(answer.restored).toMatchObject({ tables: 1 });
    const plain = await bed.refusal([filename, '--to', target.urlOf('x'), '--create', '--no-transaction']);
    expect(plain).toMatchObject({
      code: 'USAGE',
      message: '--no-transaction goes only with the plain format',
    });
  });

  test('refuses an archive with entries that no dump has', async () => {
    for (const [name, entry, message] of [
      ['above', '../evil', 'holds "../evil"'],
      ['link', 'full_directory.dir/1.dat', 'holds "full_directory.dir/1.dat"'],
      ['script', 'full_directory.dir/restore.sql', 'holds "full_directory.dir/restore.sql"'],
    ]) {
      using copy = bed.copy();
      const { filename } = copy.of('full_directory');
      const path = copy.path(copy.of('full_directory'));
      hostile(path, name ?? '', entry ?? '');
      rmSync(copy.manifestPath(filename));
      const rebuilt = await copy.run(['catalogue', 'rebuild']);
      expect(rebuilt.status).toBe(1);
      expect(rebuilt.json<{ faults: unknown }>().faults).toMatchObject([
        { filename, detail: expect.stringContaining(message ?? '') },
      ]);
    }
  });

  test('refuses a file that is there twice', async () => {
    using copy = bed.copy();
    const manifest = copy.of('full_directory');
    hostile(copy.path(manifest), 'twice', 'full_directory.dir/toc.dat');
    rmSync(copy.manifestPath(manifest.filename));
    expect((await copy.run(['catalogue', 'rebuild'])).status).toBe(1);
  });

  test('says how much room it lacks, before it touches anything', async () => {
    using copy = bed.copy();
    using disk = smallDisk(join(copy.dir, 'disk'), 200_000, true);
    copy.configure({ scratch: { directory: disk.path }, jobs: {} });
    const args = [copy.nameOf('full_directory'), '--to', target.urlOf('none'), '--create'];
    const { code, message } = await copy.refusal(args, disk.options);
    expect(code).toMatch(/^SPACE_LOW|RESTORE_FAILED$/);
    expect(message).toMatch(/cannot be unpacked in .* are free, the archive takes .*; nothing was changed$/);
  });
});

/** Adds an entry to the tar of an archive. */
function hostile(path: string, kind: string, entry: string): void {
  const work = mkdtempSync('/tmp/cofre-hostile-');
  onTestFinished(() => rmSync(work, { recursive: true, force: true }));
  const tar = join(work, 'archive.tar');
  const inner = join(work, 'inner');
  mkdirSync(join(inner, 'full_directory.dir'), { recursive: true });
  const file = join(inner, entry);
  if (kind === 'link') execFileSync('ln', ['-s', '/etc/passwd', file]);
  else writeFileSync(file, 'planted');
  writeFileSync(tar, execFileSync('gzip', ['-dc', path], { maxBuffer: 1 << 28 }));
  execFileSync('tar', ['--append', '--absolute-names', '-f', tar, '-C', inner, entry]);
  writeFileSync(path, execFileSync('gzip', ['-c', tar], { maxBuffer: 1 << 28 }));
}

describe('a drill', () => {
  test('proves it', async () => {
    const { filename } = bed.of('full_directory');
    const finished = await bed.run(['drill', filename]);
    const { results } = finished.json<{ results: { verdict: Verdict; detail: string }[] }>();
    expect(results).toMatchObject([
      { verdict: 'proven', detail: expect.stringMatching(/^19 tables with 1719 rows and the schema, equal/) },
    ]);
    expect(finished.status).toBe(0);
    expectNothingLeft(bed);
  });
});

describe('a dump that does not come to its end', () => {
  /** A bed whose dump waits for a table until it is released, or the test is over. */
  async function waiting(): Promise<DrillBed & { release: () => void }> {
    const own = new DrillBed();
    own.configureJob([database('locked', 'locked')]);
    const holder = spawn(join(cluster.binDir, 'psql'), ['-XAtq', '-d', cluster.urlOf('locked')]);
    holder.stdin.write("BEGIN; LOCK TABLE t IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n");
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    onTestFinished(() => {
      holder.kill('SIGKILL');
      own[Symbol.dispose]();
    });
    return Object.assign(own, { release: () => holder.kill('SIGKILL') });
  }

  const dumping: Moment = running(PG_DUMP);

  test('as it is cancelled leaves no directory, no process and no archive', async () => {
    const own = await waiting();
    const finished = await own.runUntil(['backup', 'app'], dumping, (pid) => process.kill(pid, 'SIGTERM'));
    expect(finished.status).toBe(1);
    expect(finished.json<BackupAnswer>().runs[0]).toMatchObject({ outcome: 'cancelled', archives: [] });
    expectNothingLeft(own);
    expect(own.stored().filter((path) => path.startsWith('database'))).toEqual([]);
  });

  test('as cofre is killed ends with it, and the next run removes its directory', async () => {
    const own = await waiting();
    let dumpers: number[] = [];
    await own.runUntil(['backup', 'app'], dumping, (pid, children) => {
      dumpers = children.filter(({ command }) => PG_DUMP.test(command)).map((child) => child.pid);
      process.kill(pid, 'SIGKILL');
    });
    expect(dumpers.length).toBeGreaterThan(0);
    await waitFor('the end of pg_dump', () => !dumpers.some(isAlive));
    expect(own.left()).toHaveLength(1);
    own.release();
    const next = await own.run(['backup', 'app']);
    expect(next.status).toBe(0);
    expect(next.stderr).toContain('a dump that died had left');
    expectNothingLeft(own);
  });

  test('as cofre is killed leaves a directory that the start of a daemon removes', async () => {
    const own = await waiting();
    await own.runUntil(['backup', 'app'], dumping, (pid) => process.kill(pid, 'SIGKILL'));
    expect(own.left()).toHaveLength(1);
    await using daemon = await own.startDaemon();
    await waitFor('the sweep', () => own.left().length === 0);
    await daemon.stop();
    expectNothingLeft(own);
  });
});

test('a dump without room is refused before it begins, by a check too', async () => {
  using own = new DrillBed();
  using disk = smallDisk(join(own.dir, 'disk'), 100_000, true);
  if (disk.kind === 'tmpfs') chmodSync(disk.path, 0o700);
  own.configure({
    scratch: { directory: disk.path },
    jobs: { app: { schedule: '0 0 29 2 *', sources: [database('full', 'full')] } },
  });
  const finished = await own.run(['backup', 'app'], disk.options);
  expect(finished.json<BackupAnswer>().runs[0]).toMatchObject({
    outcome: 'failed',
    errors: [{ code: 'SPACE_LOW', hint: expect.stringContaining('scratch.directory') }],
  });
  const check = await own.run(['check'], disk.options);
  expect(check.json<{ findings: unknown[] }>().findings).toContainEqual(
    expect.objectContaining({ severity: 'error', code: 'SPACE_LOW' }),
  );
  expect(readFileSync(own.config, 'utf8')).toContain(disk.path);
});
