import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { stagingOf } from '../../../src/compose-staging.ts';
import type { Contents } from '../../../src/domain/manifest.ts';
import type { ByteStream, Inspector } from '../../../src/domain/ports.ts';
import { CustomDumpInspector } from '../../../src/inspect/custom-dump.ts';
import { DirectoryDumpInspector } from '../../../src/inspect/directory-dump.ts';
import { PlainDumpInspector } from '../../../src/inspect/plain-dump.ts';
import { PostgresSource, type PostgresSourceOptions } from '../../../src/sources/postgres/postgres-source.ts';
import { type Cluster, startCluster } from '../../../tools/cluster.ts';
import { FULL_DATABASE, FULL_ROLES } from '../../support/full-database.ts';
import { ODD_DATABASE } from '../../support/odd-database.ts';
import { fakeProgram } from '../../postgres/fake-program.ts';
import { isAlive } from '../../support/processes.ts';
import { namesIn, temporaryDirectory } from '../../support/temp-directory.ts';

const run = promisify(execFile);
const SIGNAL = new AbortController().signal;
/** Three large objects: one of several pieces, one empty, one with every byte. */
const OBJECTS = `SELECT lo_from_bytea(70001, convert_to(repeat('piece ', 20000), 'UTF8'));
  SELECT lo_create(70002);
  SELECT lo_from_bytea(70003, (SELECT string_agg(set_byte('\\x00', 0, n), '') FROM generate_series(0, 255) n));`;
let cluster: Cluster;
let dir: string;
let scratch: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cofre-directory-'));
  scratch = await mkdtemp(join(dir, 'scratch-'));
  cluster = await startCluster();
  await cluster.psql('postgres', FULL_ROLES);
  for (const [name, sql] of [
    ['full', FULL_DATABASE],
    ['odd', ODD_DATABASE],
    ['objects', OBJECTS],
    ['empty', ''],
  ] as const) {
    await cluster.createDatabase(name);
    await cluster.psql(name, sql);
  }
});

afterEach(async () => {
  const left = await namesIn(scratch);
  if (left.length > 0) throw new Error(`the test left ${left.join(', ')}`);
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
});

function source(database: string, more: Partial<PostgresSourceOptions> = {}): PostgresSource {
  return new PostgresSource({
    name: 'app',
    url: cluster.urlOf(database),
    format: 'directory',
    dumpJobs: 2,
    staging: stagingOf({ directory: scratch }),
    lockWaitTimeout_ms: 5_000,
    exclusive: false,
    ...more,
  });
}

async function read(stream: ByteStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

async function dump(database: string, more: Partial<PostgresSourceOptions> = {}): Promise<Buffer> {
  return await read((await source(database, more).capture(SIGNAL)).stream);
}

async function inspect(inspector: Inspector, bytes: Buffer, chunkBytes = 65_536): Promise<Contents> {
  await using it = inspector;
  for (let at = 0; at < bytes.length; at += chunkBytes) await it.write(bytes.subarray(at, at + chunkBytes));
  return await it.end();
}

function inspectors() {
  const options = { pgRestore: join(cluster.binDir, 'pg_restore'), env: process.env, signal: SIGNAL };
  return {
    directory: () => new DirectoryDumpInspector(options),
    custom: () => new CustomDumpInspector(options),
    plain: () => new PlainDumpInspector(),
  };
}

/** A directory with a pg_dump and a pg_restore that are new enough, of which the first runs this shell script. */
async function fakeDump(body: string): Promise<string> {
  const binDir = await mkdtemp(join(dir, 'bin-'));
  const into = 'for a in "$@"; do case $a in --file=*) into=${a#--file=};; esac; done; mkdir "$into"';
  await fakeProgram(binDir, 'pg_dump', '99.1', `${into}\n${body}`);
  await fakeProgram(binDir, 'pg_restore', '99.1');
  return binDir;
}

describe('contents', () => {
  test.each(['full', 'odd', 'objects', 'empty'])(
    'of the database %s are those of a dump in the custom format, and of a plain one',
    async (database) => {
      const open = inspectors();
      const found = await inspect(open.directory(), await dump(database));
      const custom = await inspect(open.custom(), await dump(database, { format: 'custom' }));
      const plain = await inspect(open.plain(), await dump(database, { format: 'plain' }));
      expect(found).toEqual(custom);
      expect(found).toEqual(plain);
    },
  );

  test('are the same whatever the chunks and the number of jobs', async () => {
    const open = inspectors();
    const [one, eight] = [await dump('full', { dumpJobs: 1 }), await dump('full', { dumpJobs: 8 })];
    const expected = await inspect(open.directory(), one);
    expect(await inspect(open.directory(), eight)).toEqual(expected);
    for (const chunkBytes of [511, 4_096, one.length]) {
      expect(await inspect(open.directory(), one, chunkBytes)).toEqual(expected);
    }
  });

  test('of some tables only are those of the filters', async () => {
    const open = inspectors();
    const include = { schemas: ['shop'] };
    const found = await inspect(open.directory(), await dump('full', { include }));
    expect(found).toEqual(await inspect(open.custom(), await dump('full', { include, format: 'custom' })));
  });
});

describe('the archive', () => {
  test('is one directory, which pg_restore restores with several jobs', async () => {
    const work = await temporaryDirectory();
    const tar = join(work, 'app.dir.tar');
    await writeFile(tar, await dump('odd'));
    await run('tar', ['-xf', tar, '-C', work]);
    expect(await namesIn(work)).toEqual(['app.dir', 'app.dir.tar']);
    await cluster.createDatabase('by_hand');
    const url = cluster.urlOf('by_hand');
    await run(join(cluster.binDir, 'pg_restore'), [
      '--exit-on-error',
      '-j4',
      '-d',
      url,
      join(work, 'app.dir'),
    ]);
    const counted = 'SELECT count(*) FROM public.texts';
    expect(await cluster.psql('by_hand', counted)).toBe(await cluster.psql('odd', counted));
  });

  test('has the table of contents first, private files and no owner', async () => {
    const tar = join(await temporaryDirectory(), 'app.dir.tar');
    await writeFile(tar, await dump('objects'));
    const { stdout } = await run('tar', ['--numeric-owner', '-tvf', tar]);
    const lines = stdout.trim().split('\n');
    expect(lines[0]).toMatch(/^drwx------ 0\/0 .* app\.dir\/$/);
    expect(lines[1]).toMatch(/^-rw------- 0\/0 .* app\.dir\/toc\.dat$/);
    expect(lines.slice(2).map((line) => line.split('/').at(-1))).toEqual([
      'blob_70001.dat',
      'blob_70002.dat',
      'blob_70003.dat',
      'blobs.toc',
    ]);
  });
});

describe('preflight', () => {
  test('says how much room the dump takes, where', async () => {
    const findings = await source('full').preflight(SIGNAL);
    expect(findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
    expect(findings.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/^[\d.]+ [KMGT]?B are free in .*, where the dump takes about [\d.]+ [KM]B until/),
    );
    expect(findings.map(({ message }) => message)).toContainEqual(expect.stringMatching(/^pg_restore 1/));
  });

  test('does not wait for a table that somebody has locked', async () => {
    const holder = spawn(join(cluster.binDir, 'psql'), ['-XAtq', '-d', cluster.urlOf('odd')]);
    holder.stdin.write("BEGIN; LOCK TABLE public.texts IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n");
    try {
      await new Promise((resolve) => holder.stdout.once('data', resolve));
      const messages = (await source('odd').preflight(SIGNAL)).map(({ message }) => message);
      expect(messages).toContainEqual(expect.stringMatching(/where the dump takes about [\d.]+ MB until/));
    } finally {
      holder.stdin.end();
      await new Promise((resolve) => holder.once('close', resolve));
    }
  });

  test('finds a place that is not there', async () => {
    const staging = stagingOf({ directory: join(scratch, 'missing') });
    expect(await source('full', { staging }).preflight(SIGNAL)).toContainEqual({
      severity: 'error',
      code: 'IO_FAILED',
      path: join(scratch, 'missing'),
      message: expect.stringContaining('no place to be staged'),
      hint: expect.stringContaining('scratch.directory'),
    });
    const { stream } = await source('full', { staging }).capture(SIGNAL);
    await expect(read(stream)).rejects.toMatchObject({ code: 'IO_FAILED' });
  });
});

describe('a dump that fails leaves nothing, and its stream throws', () => {
  test.each([
    ['kills itself half-way', 'echo half >"$into/toc.dat"; kill -9 $$', 'TOOL_FAILED', /killed by SIGKILL/],
    ['exits with status 1', 'echo "disk on fire" >&2; exit 1', 'TOOL_FAILED', /status 1: disk on fire/],
    ['writes nothing', 'exit 0', 'DUMP_EMPTY', /no table of contents/],
    ['writes an empty table of contents', ': >"$into/toc.dat"', 'DUMP_EMPTY', /no table of contents/],
    [
      'finds the disk full',
      'echo "could not write to file: No space left on device" >&2; exit 1',
      'DISK_FULL',
      /No space left/,
    ],
    [
      'loses its connection before the first byte',
      'echo "server closed the connection unexpectedly" >&2; exit 1',
      'SERVER_UNREACHABLE',
      /closed the connection/,
    ],
    [
      'loses its connection half-way',
      ': >"$into/1.dat"; echo "server closed the connection unexpectedly" >&2; exit 1',
      'TOOL_FAILED',
      /closed the connection/,
    ],
  ])('pg_dump %s', async (_name, body, code, message) => {
    const { stream } = await source('full', { binDir: await fakeDump(body) }).capture(SIGNAL);
    await expect(read(stream)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  test('a pg_restore that cannot list it', async () => {
    const binDir = await fakeDump('echo no dump >"$into/toc.dat"');
    await fakeProgram(binDir, 'pg_restore', '99.1', 'echo "not readable" >&2; exit 1');
    const { stream } = await source('full', { binDir }).capture(SIGNAL);
    await expect(read(stream)).rejects.toMatchObject({
      code: 'TOOL_FAILED',
      message: expect.stringContaining('not readable'),
    });
  });

  test('an abort while it is dumped', async () => {
    const pidFile = join(dir, 'hanging.pid');
    const binDir = await fakeDump(`echo $$ >${pidFile}; sleep 1000`);
    const controller = new AbortController();
    const reason = new Error('enough');
    const { stream } = await source('full', { binDir }).capture(controller.signal);
    const reading = read(stream);
    reading.catch(() => undefined);
    await expect.poll(async () => await readFile(pidFile, 'utf8').catch(() => '')).toMatch(/\d/);
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    expect(isAlive(Number(await readFile(pidFile, 'utf8')))).toBe(false);
  });

  test('a reader who gives up', async () => {
    const { stream } = await source('full').capture(SIGNAL);
    for await (const _chunk of stream) break;
    const unread = await source('full', { exclusive: true }).capture(SIGNAL);
    await unread.stream[Symbol.asyncIterator]().return?.();
    expect((await dump('full', { exclusive: true })).length).toBeGreaterThan(0);
    expect(await namesIn(scratch)).toEqual([]);
  });
});

test('pg_dump has no secret in its arguments, and as many jobs as are asked for', async () => {
  const said = join(dir, 'said');
  const binDir = await fakeDump(`printf "%s\\n" "$@" >${said}; exit 1`);
  const url = cluster.urlOf('full').replace('postgres@', 'postgres:s3cret@');
  const { stream } = await source('full', { url, binDir, dumpJobs: 7 }).capture(SIGNAL);
  await expect(read(stream)).rejects.toMatchObject({ code: 'TOOL_FAILED' });
  const args = (await readFile(said, 'utf8')).split('\n');
  expect(args).toEqual(expect.arrayContaining(['--format=directory', '--compress=0', '--jobs=7']));
  expect(args.join('\n')).not.toContain('s3cret');
});
