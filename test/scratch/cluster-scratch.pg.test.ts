import { chmod, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { DumpNeeds } from '../../src/domain/dump-survey.ts';
import type { DatabaseLocale } from '../../src/domain/manifest.ts';
import type { ScratchDatabase, ScratchWish } from '../../src/domain/restore-ports.ts';
import { clusterScratch } from '../../src/scratch/cluster-scratch.ts';
import { findServerPrograms } from '../../tools/server-programs.ts';
import { runPsql } from '../../tools/cluster.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { isRoot } from '../support/file-tree.ts';
import { smallDisk } from '../support/small-disk.ts';
import { namesIn, temporaryDirectory } from '../support/temp-directory.ts';

const NOTHING: DumpNeeds = { roles: [], superusers: [], extensions: [], tablespaces: [] };
const C: DatabaseLocale = { encoding: 'UTF8', collate: 'C', ctype: 'C', provider: 'libc' };
const binDir = findServerPrograms() ?? '';

async function openParent(): Promise<string> {
  const parent = await temporaryDirectory();
  await chmod(parent, 0o1777);
  return parent;
}

async function open(wish: Partial<ScratchWish>, parent?: string): Promise<ScratchDatabase> {
  const where = parent ?? (await openParent());
  const made = await clusterScratch({ parent: where })(
    { major: 0, needs: NOTHING, raw_size: 1_000, locale: C, ...wish },
    NO_ABORT,
  );
  onTestFinished(async () => await made[Symbol.asyncDispose]());
  return made;
}

async function psql({ url }: ScratchDatabase, sql: string): Promise<string> {
  return await runPsql(binDir, url, sql);
}

const LOCALE_OF = `SELECT pg_encoding_to_char(encoding), datcollate, datctype
                     FROM pg_database WHERE datname = current_database()`;

describe('a database for a drill, in a cluster of its own', () => {
  test('compresses wide values with what is fastest here', async () => {
    const made = await open({});
    const choices = await psql(
      made,
      "SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'",
    );
    const used = await psql(made, "SELECT current_setting('default_toast_compression', true)");
    expect(used).toBe(choices.includes('lz4') ? 'lz4' : choices.includes('pglz') ? 'pglz' : '');
  });

  test('has what the dump needs: roles, tablespaces, extensions', async () => {
    const parent = await openParent();
    const needs: DumpNeeds = {
      roles: ['Ana "A" Sá', 'app', 'none', 'owner of triggers', 'pg_of_its_own', 'postgres'],
      superusers: ['owner of triggers'],
      extensions: ['plpgsql'],
      tablespaces: ['fast "disk"', 'pg_default', "o'hare"],
    };
    const made = await open({ needs }, parent);
    const roles = await psql(
      made,
      "SELECT rolname, rolsuper, rolcanlogin FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1",
    );
    expect(roles.split('\n')).toEqual(['Ana "A" Sá|f|f', 'app|f|f', 'owner of triggers|t|f', 'postgres|t|t']);
    expect(made.missingRoles).toEqual(['none', 'pg_of_its_own']);
    await psql(
      made,
      `CREATE TABLE t (a int) TABLESPACE "fast ""disk""";
       CREATE INDEX ON t (a) TABLESPACE "o'hare";
       ALTER TABLE t OWNER TO "Ana ""A"" Sá";
       INSERT INTO t VALUES (1);`,
    );
    expect(made).toMatchObject({ remarks: [], sameLocale: true, binDir });
    expect(await psql(made, 'SHOW server_version')).toBe(made.server_version);
    await made[Symbol.asyncDispose]();
    expect(await namesIn(parent)).toEqual([]);
  });

  test('a role whose name is not ASCII is found from a database in another encoding', async () => {
    const locale = { ...C, encoding: 'LATIN1' };
    const made = await open({ locale, needs: { ...NOTHING, roles: ['José'] } });
    expect(await psql(made, 'CREATE TABLE t (); ALTER TABLE t OWNER TO "José"; SELECT 1')).toBe('1');
  });

  test('takes the next best where the machine lacks the locale, and says so', async () => {
    const made = await open({ locale: { encoding: 'LATIN1', collate: 'tlh_KX', ctype: 'tlh_KX' } });
    expect(await psql(made, LOCALE_OF)).toBe('LATIN1|C|C');
    expect(made.sameLocale).toBe(false);
    expect(made.remarks).toEqual(['the locale tlh_KX is not available here: C']);
  });

  test('is UTF8 where the locale was not recorded, and says so', async () => {
    const made = await open({ locale: undefined });
    expect(await psql(made, LOCALE_OF)).toMatch(/^UTF8\|C/);
    expect(made).toMatchObject({ sameLocale: false, remarks: [expect.stringContaining('not recorded')] });
  });
});

describe('not provable here', () => {
  test('names every extension that is missing', async () => {
    const parent = await openParent();
    const extensions = ['plpgsql', 'postgis_of_another_world', 'nowhere'];
    await expect(open({ needs: { ...NOTHING, extensions } }, parent)).rejects.toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining('postgis_of_another_world, nowhere') as string,
    });
    expect(await namesIn(parent)).toEqual([]);
  });

  test('names the server programs to install', async () => {
    const parent = await openParent();
    await expect(open({ major: 99 }, parent)).rejects.toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringMatching(
        /PostgreSQL 99 needs initdb 99 or newer; the newest found is \d+/,
      ) as string,
      hint: expect.stringContaining('postgresql-99') as string,
    });
    const empty = clusterScratch({ parent, binDir: parent });
    await expect(empty({ major: 15, needs: NOTHING, raw_size: 0 }, NO_ABORT)).rejects.toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining('initdb was not found') as string,
    });
    expect(await namesIn(parent)).toEqual([]);
  });

  test('names the space, the directory and the key when there is too little', async () => {
    const parent = await openParent();
    await expect(open({ raw_size: 2 ** 50 }, parent)).rejects.toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringMatching(
        new RegExp(`are free in ${parent}, the drill needs about 1\\.50 PB`),
      ) as string,
      hint: expect.stringContaining('scratch.directory') as string,
    });
    expect(await namesIn(parent)).toEqual([]);
  });

  test('an encoding that no database can have', async () => {
    const parent = await openParent();
    await expect(open({ locale: { ...C, encoding: 'SJIS' } }, parent)).rejects.toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining('SJIS') as string,
    });
    expect(await namesIn(parent)).toEqual([]);
  });

  test('a disk that fills up while the cluster is made', async ({ skip }) => {
    const path = join(await openParent(), 'disk');
    // Enough to begin with, by the look of it.
    using disk = smallDisk(path, 80 * 1024 * 1024, true);
    if (disk.kind !== 'tmpfs' || !isRoot) skip();
    await chmod(path, 0o1777);
    const opening = open({}, path).catch((error: unknown) => error);
    while ((await readdir(path)).length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    disk.fill();
    expect(await opening).toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining('No space left on device') as string,
      hint: expect.stringContaining('larger disk') as string,
    });
    disk.free();
    expect(await namesIn(path)).toEqual([]);
  });

  test('a directory that is not there', async () => {
    const parent = join(await temporaryDirectory(), 'missing');
    await expect(open({}, parent)).rejects.toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining(parent) as string,
    });
    await mkdir(parent);
  });
});
