import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { ArchiveDifference } from '../../src/domain/diff.ts';
import type { Manifest } from '../../src/domain/manifest.ts';
import { type TestServer, usingCluster } from '../support/postgres.ts';
import { corruptByte, type ErrorAnswer, NEVER, Workspace } from '../support/workspace.ts';

let server: TestServer;
let workspace: Workspace;

beforeAll(async () => {
  server = await usingCluster();
  workspace = new Workspace({ DATABASE_URI: await server.createDatabase('diff_e2e') });
  const database = (name: string, format: string) => ({
    type: 'postgres',
    name,
    format,
    url: { env: 'DATABASE_URI' },
  });
  workspace.configure({
    compression: 'zstd',
    jobs: {
      plain: { schedule: NEVER, sources: [database('plain', 'plain')] },
      custom: { schedule: NEVER, sources: [database('custom', 'custom')] },
      tree: workspace.filesJob(),
      again: workspace.filesJob(NEVER, 'again'),
      raw: workspace.filesJob(NEVER, 'raw', { compression: 'none' }),
    },
  });
});

afterAll(async () => {
  workspace[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
});

async function diff(a: Manifest, b: Manifest): Promise<ArchiveDifference> {
  const finished = await workspace.run(['diff', a.filename, b.filename]);
  expect({ status: finished.status, stderr: finished.stderr }).toMatchObject({ status: 0 });
  return finished.json<ArchiveDifference>();
}

/** The text for people, which `run` has no flag to leave out. */
async function text(a: Manifest, b: Manifest): Promise<string> {
  const { diff: command } = await import('../../src/cli/commands/diff.ts');
  const { openApp } = await import('../support/aftermath.ts');
  const app = await openApp(workspace);
  const session = { json: false, signal: new AbortController().signal, open: async () => app };
  return (await command(session as never, a.filename, b.filename)).text;
}

describe('two dumps of a database', () => {
  let before: Manifest;
  let after: Manifest;

  beforeAll(async () => {
    await server.psql(
      'diff_e2e',
      `CREATE TABLE same (id int); INSERT INTO same VALUES (1);
       CREATE TABLE grows (id int); INSERT INTO grows VALUES (1), (2);
       CREATE TABLE shrinks (id int); INSERT INTO shrinks VALUES (1), (2), (3);
       CREATE TABLE "Edited ""one""" (id int); INSERT INTO "Edited ""one""" VALUES (1);
       CREATE TABLE goes (id int); INSERT INTO goes VALUES (1); CREATE SEQUENCE numbers;
       CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT 2 * $1';`,
    );
    before = await workspace.backup('plain');
    await server.psql(
      'diff_e2e',
      `INSERT INTO grows VALUES (3); DELETE FROM shrinks WHERE id > 1;
       UPDATE "Edited ""one""" SET id = 200; DROP TABLE goes;
       CREATE TABLE comes (id int); INSERT INTO comes VALUES (1), (2); SELECT setval('numbers', 7);
       CREATE OR REPLACE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';`,
    );
    after = await workspace.backup('plain');
  });

  test('say which tables came, went, grew, shrank and changed', async () => {
    const table = (name: string, rows: unknown, bytes: unknown) => ({ schema: 'public', name, rows, bytes });
    expect(await diff(before, after)).toEqual({
      a: before.filename,
      b: after.filename,
      type: 'database',
      identical: false,
      tables: {
        added: [table('comes', [null, 2], [null, 4])],
        gone: [table('goes', [1, null], [2, null])],
        grown: [table('grows', [2, 3], [4, 6])],
        shrunk: [table('shrinks', [3, 1], [6, 2])],
        changed: [table('Edited "one"', [1, 1], [2, 4])],
      },
      unchanged: 1,
      schema_changed: true,
      definitions: {
        added: ['TABLE public.comes'],
        gone: ['TABLE public.goes'],
        changed: ['FUNCTION public.twice(integer)', 'SEQUENCE SET public.numbers'],
      },
    });
    expect((await text(before, after)).split('\n')).toEqual([
      expect.stringMatching(/^ +TABLE +ROWS +SIZE$/),
      expect.stringMatching(/^added +public\.comes +2 +4 B$/),
      expect.stringMatching(/^gone +public\.goes +1 +2 B$/),
      expect.stringMatching(/^grown +public\.grows +2 -> 3 +4 B -> 6 B$/),
      expect.stringMatching(/^shrunk +public\.shrinks +3 -> 1 +6 B -> 2 B$/),
      expect.stringMatching(/^changed +public\.Edited "one" +1 +2 B -> 4 B$/),
      '1 table unchanged',
      expect.stringMatching(/^ +ELSE$/),
      expect.stringMatching(/^added +TABLE public\.comes$/),
      expect.stringMatching(/^gone +TABLE public\.goes$/),
      expect.stringMatching(/^changed +FUNCTION public\.twice\(integer\)$/),
      expect.stringMatching(/^changed +SEQUENCE SET public\.numbers$/),
    ]);
  });

  test('are identical where nothing has changed, and need no archive to be read', async () => {
    const again = await workspace.backup('plain');
    rmSync(workspace.path(again));
    expect(await diff(after, again)).toMatchObject({ identical: true, unchanged: 5, schema_changed: false });
    expect(await text(after, again)).toBe('identical: 5 tables with the same rows, and the same schema text');
  });

  test('say what was forged in one, once a check has found that it is not what was recorded', async () => {
    const [kept, archive] = [await workspace.backup('plain'), await workspace.backup('plain')];
    expect(await diff(kept, archive)).toMatchObject({ identical: true });
    const path = workspace.path(archive);
    const text = zstdDecompressSync(readFileSync(path)).toString().replace('$1 * 2', '$1 * 3');
    const forged = zstdCompressSync(text.replace('\n200\n', '\n201\n'));
    writeFileSync(path, forged);
    const hash = createHash('sha256').update(forged).digest('hex');
    const manifest = { ...archive, size: forged.length, hash };
    writeFileSync(workspace.manifestPath(archive.filename), JSON.stringify(manifest));
    expect((await workspace.run(['verify', archive.filename])).status).toBe(1);
    expect(await diff(kept, archive)).toMatchObject({
      identical: false,
      tables: { changed: [{ name: 'Edited "one"' }] },
      definitions: { added: [], gone: [], changed: ['FUNCTION public.twice(integer)'] },
    });
    rmSync(path);
    rmSync(workspace.manifestPath(archive.filename));
  });

  test('still say what the manifests do where an archive cannot be read', async () => {
    const path = workspace.path(before);
    const kept = readFileSync(path);
    writeFileSync(path, kept.subarray(0, -20));
    onTestFinished(() => writeFileSync(path, kept));
    const difference = await diff(before, after);
    expect(difference).toMatchObject({ schema_changed: true, definitions: null, unchanged: 1 });
    expect(await text(before, after)).toMatch(/\nwhatever else is not the same could not be read: /);
  });

  test('of two formats and two sources hold the same tables', async () => {
    const { tables, unchanged, definitions } = (await diff(after, await workspace.backup('custom'))) as {
      tables: object;
      unchanged: number;
      definitions: object;
    };
    expect(definitions).toEqual({ added: [], gone: [], changed: [] });
    expect(tables).toEqual({ added: [], gone: [], grown: [], shrunk: [], changed: [] });
    expect(unchanged).toBe(5);
  });
});

describe('two archives of files', () => {
  let before: Manifest;
  let after: Manifest;
  const at = (name: string | Buffer) => Buffer.concat([Buffer.from(`${workspace.tree}/`), Buffer.from(name)]);
  const set = (name: string, seconds: number) => utimesSync(at(name), seconds, seconds);

  beforeAll(async () => {
    for (const name of ['kept', 'longer', 'mode', 'time', 'data', 'goes', 'turns']) {
      writeFileSync(at(name), `${name}\n`);
      set(name, 1_000_000_000);
    }
    symlinkSync('kept', at('link'));
    mkdirSync(at('dir'));
    set('dir', 1_000_000_000);
    utimesSync(workspace.tree, 1_000_000_000, 1_000_000_000);
    before = await workspace.backup('tree');
    appendFileSync(at('longer'), 'more\n');
    set('longer', 1_000_000_000);
    chmodSync(at('mode'), 0o600);
    set('time', 1_000_000_001);
    writeFileSync(at('data'), 'atad\n');
    set('data', 1_000_000_000);
    for (const name of ['goes', 'turns', 'link']) rmSync(at(name));
    mkdirSync(at('turns'));
    chmodSync(at('turns'), 0o644);
    set('turns', 1_000_000_000);
    symlinkSync('else', at('link'));
    writeFileSync(at(Buffer.from([0x6e, 0x0a, 0xff])), '');
    writeFileSync(at('dir/new'), '');
    set('dir', 1_000_000_000);
    utimesSync(workspace.tree, 1_000_000_000, 1_000_000_000);
    after = await workspace.backup('tree');
  });

  test('say which paths came, went and changed, and in what', async () => {
    const difference = await diff(before, after);
    if (difference.type !== 'files') throw new Error(difference.type);
    const { changed, ...rest } = difference.paths;
    expect(difference).toMatchObject({ a: before.filename, b: after.filename, identical: false });
    expect(rest).toEqual({ added: ['tree/dir/new', 'tree/n\n\\xff'], removed: ['tree/goes'] });
    expect(changed.filter(({ path }) => path !== 'tree/link')).toEqual([
      { path: 'tree/data', changes: ['data'] },
      { path: 'tree/longer', changes: ['size', 'data'] },
      { path: 'tree/mode', changes: ['mode'] },
      { path: 'tree/time', changes: ['mtime'] },
      { path: 'tree/turns', changes: ['type'] },
    ]);
    // Its time is that of now, in both.
    expect(changed.find(({ path }) => path === 'tree/link')?.changes).toContain('link');
    const lines = (await text(before, after)).split('\n');
    expect(lines).toContain('- tree/goes');
    expect(lines).toContain('+ tree/n\\u{a}\\xff');
    expect(lines).toContain('~ tree/longer  (size, data)');
    expect(lines.at(-1)).toBe('2 added, 1 removed, 6 changed');
  });

  test('the other way round, what came has gone', async () => {
    const difference = await diff(after, before);
    expect(difference).toMatchObject({
      paths: { added: ['tree/goes'], removed: ['tree/dir/new', 'tree/n\n\\xff'] },
    });
  });

  test('with one digest are identical without being read, of two sources too', async () => {
    const other = await workspace.backup('again');
    rmSync(workspace.path(other));
    expect(await diff(after, other)).toMatchObject({
      identical: true,
      paths: { added: [], removed: [], changed: [] },
    });
  });

  test('are not compared where the stored bytes are not those that were written', async () => {
    writeFileSync(at('one-more'), '');
    const last = await workspace.backup('tree');
    corruptByte(workspace.path(last));
    const finished = await workspace.run(['diff', after.filename, last.filename]);
    expect(finished.status).toBe(1);
    expect(finished.json<ErrorAnswer>().error).toMatchObject({
      code: 'ARCHIVE_CORRUPT',
      path: last.filename,
    });
    // A byte of data that decodes as well as the right one.
    writeFileSync(at('big'), Buffer.alloc(200_000, 'x'));
    const raw = await workspace.backup('raw');
    corruptByte(workspace.path(raw));
    const flipped = await workspace.run(['diff', after.filename, raw.filename]);
    expect(flipped.json<ErrorAnswer>().error).toMatchObject({ code: 'ARCHIVE_CORRUPT', path: raw.filename });
    rmSync(workspace.path(last));
    const missing = await workspace.run(['diff', after.filename, last.filename]);
    expect(missing.json<ErrorAnswer>().error.code).toBe('ARCHIVE_MISSING');
  });
});

test('a dump and files have nothing to compare; a name that is no backup is told', async () => {
  const [some] = (await workspace.list()).filter(({ type }) => type === 'files');
  const [other] = (await workspace.list()).filter(({ type }) => type === 'database');
  const mixed = await workspace.run(['diff', some?.filename ?? '', other?.filename ?? '']);
  expect([mixed.status, mixed.json<ErrorAnswer>().error.code]).toEqual([2, 'USAGE']);
  const unknown = await workspace.run(['diff', some?.filename ?? '', '../x']);
  expect([unknown.status, unknown.json<ErrorAnswer>().error.code]).toEqual([1, 'ARCHIVE_UNKNOWN']);
});
