import { readdirSync, statSync } from 'node:fs';
import { mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../../tools/cluster.ts';
import { ODD_DATABASE } from '../../support/odd-database.ts';
import { fakeProgram } from '../../postgres/fake-program.ts';
import { processesWith } from '../../support/processes.ts';
import { temporaryDirectory } from '../../support/temp-directory.ts';
import { dumpOf, streamOf, textOf } from '../../support/dumps.ts';
import { CUSTOM, databasesOf, failureOf, SIGNAL, targetOf } from './restoring.ts';

let cluster: Cluster;
let odd: Buffer;
let sales: Buffer;
let number = 0;

beforeAll(async () => {
  cluster = await startCluster();
  await cluster.createDatabase('odd');
  await cluster.psql('odd', ODD_DATABASE);
  odd = await dumpOf(cluster, 'odd', '--format=custom');
  await cluster.createDatabase('sales');
  await cluster.psql(
    'sales',
    `CREATE SCHEMA "Sa les"; CREATE SCHEMA other;
     CREATE TABLE "Sa les".orders (id int); INSERT INTO "Sa les".orders VALUES (1), (2);
     CREATE TABLE "Sa les".items (id int); CREATE TABLE other.rest (id int); CREATE TABLE top (id int);`,
  );
  sales = await dumpOf(cluster, 'sales', '--format=custom');
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

async function emptyDatabase(): Promise<{ url: string; name: string }> {
  number += 1;
  const name = `target_${number}`;
  return { url: await cluster.createDatabase(name), name };
}

async function tablesIn(database: string): Promise<string> {
  return await cluster.psql(
    database,
    "SELECT string_agg(oid::regclass::text, ' ' ORDER BY oid::regclass::text) FROM pg_class WHERE relkind = 'r' AND oid >= 16384",
  );
}

/** pg_restore of a later major: this one, which says so, and writes what a later one writes. */
async function laterPrograms(): Promise<string> {
  const binDir = await temporaryDirectory();
  const real = join(cluster.binDir, 'pg_restore');
  const body = `case "$*" in
    *--dbname*) echo 'pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "later_timeout"' >&2; exit 1;;
    *--file=-*) ${real} "$@" | sed 's/^SET lock_timeout = 0;/&\\nSET later_timeout = 0;/';;
    *) exec ${real} "$@";;
  esac`;
  await fakeProgram(binDir, 'pg_restore', '99.1', body);
  await fakeProgram(binDir, 'psql', '99.1', `exec ${join(cluster.binDir, 'psql')} "$@"`);
  return binDir;
}

describe('a custom restore', () => {
  it('makes the same database again over several connections, from a file that only we can read', async () => {
    const { url, name } = await emptyDatabase();
    const path = await mkdtemp(join(tmpdir(), 'cofre-spool-'));
    let mode = 0;
    const dispose = async () => {
      const [file = ''] = readdirSync(path);
      mode = statSync(join(path, file)).mode & 0o777;
      await rm(path, { recursive: true });
    };
    const target = targetOf(url, { spoolDirectory: async () => ({ path, [Symbol.asyncDispose]: dispose }) });
    await target.restore(streamOf(odd), { ...CUSTOM, raw_size: odd.length }, SIGNAL);
    expect(await textOf(cluster, name)).toBe(await textOf(cluster, 'odd'));
    expect(mode).toBe(0o600);
  });

  it('through a pg_restore that is newer than the server leaves out what that one sets', async () => {
    const { url, name } = await emptyDatabase();
    const target = targetOf(url, { binDir: await laterPrograms() });
    const remarks = await target.restore(streamOf(odd), { ...CUSTOM, toolMajor: 99 }, SIGNAL);
    expect(await textOf(cluster, name)).toBe(await textOf(cluster, 'odd'));
    expect(remarks).toEqual([expect.stringContaining('later_timeout')]);
  });

  it('needs a pg_restore as new as the archive', async () => {
    const { url } = await emptyDatabase();
    const options = { ...CUSTOM, toolMajor: 98 };
    const error = await failureOf(targetOf(url).restore(streamOf(odd), options, SIGNAL));
    expect(error).toMatchObject({ code: 'SERVER_TOO_NEW', message: expect.stringContaining('pg_dump 98') });
  });

  it('does not begin when the archive does not fit, naming where', async () => {
    const name = 'too_large';
    const { bavail, bsize } = await statfs(tmpdir());
    const options = { ...CUSTOM, create: true, raw_size: bavail * bsize * 2 };
    const error = await failureOf(targetOf(cluster.urlOf(name)).restore(streamOf(odd), options, SIGNAL));
    expect(error).toMatchObject({ code: 'SPACE_LOW', path: expect.stringContaining(tmpdir()) });
    expect(error.message).toContain('nothing was changed');
    expect(await databasesOf(cluster)).not.toContain(name);
  });

  it('changes nothing when the archive breaks off', async () => {
    async function* broken() {
      yield odd.subarray(0, 1000);
      throw new Error('the disk is gone');
    }
    const error = await failureOf(
      targetOf(cluster.urlOf('never')).restore(broken(), { ...CUSTOM, create: true }, SIGNAL),
    );
    expect(error).toMatchObject({
      code: 'RESTORE_FAILED',
      message: 'reading the archive failed: the disk is gone; nothing was changed',
    });
    expect(await databasesOf(cluster)).not.toContain('never');
  });

  it('refuses the formats that are directories', async () => {
    const { url } = await emptyDatabase();
    const error = await failureOf(
      targetOf(url).restore(streamOf(odd), { ...CUSTOM, format: 'directory' }, SIGNAL),
    );
    expect(error).toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringContaining('nothing was changed'),
    });
  });
});

describe('a custom restore that fails', () => {
  /** Its last table has a row that its domain does not take here. */
  async function failing(): Promise<Buffer> {
    await cluster.createDatabase('failing');
    await cluster.psql(
      'failing',
      `CREATE FUNCTION here() RETURNS bool LANGUAGE sql AS $$SELECT current_database() = 'failing'$$;
       CREATE TABLE a (id int); INSERT INTO a VALUES (1);
       CREATE TABLE z (id int CHECK (public.here())); INSERT INTO z VALUES (1);`,
    );
    return await dumpOf(cluster, 'failing', '--format=custom');
  }
  let archive: Buffer;
  beforeAll(async () => {
    archive = await failing();
  });

  it('over several connections says that a part of it is there', async () => {
    const { url, name } = await emptyDatabase();
    const error = await failureOf(targetOf(url).restore(streamOf(archive), CUSTOM, SIGNAL));
    expect(error.code).toBe('RESTORE_FAILED');
    expect(error.message).toMatch(
      new RegExp(
        `^pg_restore stopped: ERROR: {2}new row for relation "z" violates check.*; the database "${name}" holds a part of the archive: .*table public.a`,
      ),
    );
    // The values of the row are nobody's business.
    expect(error.message).not.toContain('DETAIL');
  });

  it('over one connection changes nothing', async () => {
    const { url, name } = await emptyDatabase();
    const error = await failureOf(targetOf(url).restore(streamOf(archive), { ...CUSTOM, jobs: 1 }, SIGNAL));
    expect(error.message).toMatch(/; nothing was changed in the database/);
    expect(await tablesIn(name)).toBe('');
  });

  it('drops what was made for it', async () => {
    const before = await databasesOf(cluster);
    const url = cluster.urlOf('doomed');
    const error = await failureOf(
      targetOf(url).restore(streamOf(archive), { ...CUSTOM, create: true }, SIGNAL),
    );
    expect(error.message).toMatch(/the database "doomed" that was made for it was dropped again$/);
    expect(await databasesOf(cluster)).toEqual(before);
  });

  it('leaves no process when it is cancelled', async () => {
    await cluster.createDatabase('slow');
    await cluster.psql(
      'slow',
      `CREATE FUNCTION f() RETURNS bool LANGUAGE plpgsql AS
         $$BEGIN IF current_database() <> 'slow' THEN PERFORM pg_sleep(60); END IF; RETURN true; END$$;
       CREATE TABLE t (id int CHECK (public.f())); INSERT INTO t VALUES (1);`,
    );
    const slow = await dumpOf(cluster, 'slow', '--format=custom');
    const controller = new AbortController();
    const timer = setInterval(() => {
      if (processesWith("dbname='cancelled'").length > 0) controller.abort();
    }, 10);
    const restored = targetOf(cluster.urlOf('cancelled')).restore(
      streamOf(slow),
      { ...CUSTOM, create: true },
      controller.signal,
    );
    const error = await failureOf(restored).finally(() => clearInterval(timer));
    expect(error).toMatchObject({ code: 'CANCELLED', message: expect.stringContaining('was dropped again') });
    expect(processesWith("dbname='cancelled'")).toEqual([]);
    expect(await databasesOf(cluster)).not.toContain('cancelled');
  });
});

describe('a part of a custom archive', () => {
  it('is a schema, with the schema itself', async () => {
    const { url, name } = await emptyDatabase();
    await targetOf(url).restore(streamOf(sales), { ...CUSTOM, schemas: ['Sa les'] }, SIGNAL);
    expect(await tablesIn(name)).toBe('"Sa les".items "Sa les".orders');
  });

  it('is a table, with the schema it is in', async () => {
    const { url, name } = await emptyDatabase();
    await targetOf(url).restore(streamOf(sales), { ...CUSTOM, tables: ['orders'] }, SIGNAL);
    expect(await tablesIn(name)).toBe('"Sa les".orders');
    expect(await targetOf(url).countRows([{ schema: 'Sa les', name: 'orders' }], SIGNAL)).toEqual([2]);
  });

  it('is refused when the archive does not have it', async () => {
    const { url, name } = await emptyDatabase();
    for (const [part, text] of [
      [{ tables: ['orders', 'gone'] }, 'the archive holds no table "gone"'],
      [{ schemas: ['gone'] }, 'the archive holds no schema "gone"'],
      [{ schemas: ['other'], tables: ['orders'] }, 'the archive holds no table "orders"'],
    ] as const) {
      const error = await failureOf(targetOf(url).restore(streamOf(sales), { ...CUSTOM, ...part }, SIGNAL));
      expect(error).toMatchObject({ code: 'TARGET_REFUSED', message: expect.stringContaining(text) });
    }
    expect(await tablesIn(name)).toBe('');
  });
});
