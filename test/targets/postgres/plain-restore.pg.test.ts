import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, startCluster } from '../../../tools/cluster.ts';
import { ODD_DATABASE } from '../../support/odd-database.ts';
import { isAlive, processesWith } from '../../support/processes.ts';
import { temporaryDirectory } from '../../support/temp-directory.ts';
import { waitFor } from '../../support/wait-for.ts';
import { dumpOf, streamOf, textOf } from '../../support/dumps.ts';
import { reusing } from '../../support/reusing.ts';
import { databasesOf, failureOf, PLAIN, SIGNAL, script, targetOf } from './restoring.ts';

const PASSWORD = 'hush-4711';
let cluster: Cluster;
let odd: Buffer;
let number = 0;

beforeAll(async () => {
  cluster = await startCluster({ auth: 'scram' });
  await cluster.createDatabase('odd');
  await cluster.psql('odd', ODD_DATABASE);
  odd = await dumpOf(cluster, 'odd');
  await cluster.psql('postgres', `CREATE ROLE alice LOGIN CREATEDB PASSWORD '${PASSWORD}'`);
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** The URL and the name of an empty database. */
async function emptyDatabase(): Promise<{ url: string; name: string }> {
  number += 1;
  const name = `target_${number}`;
  return { url: await cluster.createDatabase(name), name };
}

async function tablesIn(database: string): Promise<string> {
  return await cluster.psql(
    database,
    "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'S', 'v') AND oid >= 16384",
  );
}

async function sessionsOfRestores(): Promise<string> {
  const sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'cofre%'";
  return await cluster.psql('postgres', sql);
}

describe('a plain restore', () => {
  it('makes the same database again, with large objects, odd names and odd data', async () => {
    const { url, name } = await emptyDatabase();
    // As from a pg_restore, whose output is read into memory that is used again.
    await targetOf(url).restore(reusing(streamOf(odd)), PLAIN, SIGNAL);
    expect(await textOf(cluster, name)).toBe(await textOf(cluster, 'odd'));
    expect(await sessionsOfRestores()).toBe('0');
  });

  it('does the same without a single transaction', async () => {
    const { url, name } = await emptyDatabase();
    await targetOf(url).restore(streamOf(odd), { ...PLAIN, singleTransaction: false }, SIGNAL);
    expect(await textOf(cluster, name)).toBe(await textOf(cluster, 'odd'));
  });

  it('changes nothing when the archive breaks off behind its large objects', async () => {
    const { url, name } = await emptyDatabase();
    const at = odd.indexOf('\nCOMMIT;\n') + 9;
    async function* broken() {
      yield odd.subarray(0, at);
      yield Buffer.from("SELECT 'so far';\n");
      const ran = `SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle%' AND query = 'SELECT ''so far'';'`;
      await waitFor('psql to get there', async () => (await cluster.psql('postgres', ran)) === '1');
      throw new Error('the disk is gone');
    }
    const error = await failureOf(targetOf(url).restore(broken(), PLAIN, SIGNAL));
    expect(error).toMatchObject({ code: 'RESTORE_FAILED' });
    expect(error.message).toMatch(
      /^reading the archive failed: the disk is gone; nothing was changed in the database "target_\d+"$/,
    );
    expect(await tablesIn(name)).toBe('0');
    expect(await sessionsOfRestores()).toBe('0');
  });

  it('changes nothing when the archive ends too early, without an error', async () => {
    const { url, name } = await emptyDatabase();
    const error = await failureOf(
      targetOf(url).restore(streamOf(odd.subarray(0, odd.length / 2)), PLAIN, SIGNAL),
    );
    expect(error).toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringMatching(/the dump ends within .*; nothing was changed/),
    });
    expect(await tablesIn(name)).toBe('0');
  });

  it('changes nothing when it is cancelled, and leaves no process and no session', async () => {
    const { url, name } = await emptyDatabase();
    const controller = new AbortController();
    async function* stuck() {
      yield Buffer.from('CREATE TABLE t ();\nSELECT pg_sleep(60);\n');
      const busy =
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(60);'";
      await waitFor('the server to be busy', async () => (await cluster.psql('postgres', busy)) === '1');
      controller.abort();
      // As every stream of bytes does.
      controller.signal.throwIfAborted();
    }
    const error = await failureOf(targetOf(url).restore(stuck(), PLAIN, controller.signal));
    expect(error).toMatchObject({
      code: 'CANCELLED',
      message: expect.stringContaining('nothing was changed'),
    });
    expect(processesWith(`dbname='${name}'`)).toEqual([]);
    expect(await sessionsOfRestores()).toBe('0');
    expect(await tablesIn(name)).toBe('0');
  });

  it('changes nothing when psql is killed from outside', async () => {
    const { url, name } = await emptyDatabase();
    async function* killing() {
      yield odd.subarray(0, odd.length / 2);
      const [psql] = processesWith(`dbname='${name}'`);
      if (psql === undefined) throw new Error('there is no psql');
      process.kill(psql.pid, 'SIGKILL');
      await waitFor('its end', () => !isAlive(psql.pid));
      yield odd.subarray(odd.length / 2);
    }
    const error = await failureOf(targetOf(url).restore(killing(), PLAIN, SIGNAL));
    expect(error.message).toMatch(/^psql was killed by SIGKILL.*; nothing was changed/);
    expect(await tablesIn(name)).toBe('0');
  });

  it('commits nothing when the program is killed in the middle', async () => {
    const { url, name } = await emptyDatabase();
    const child = spawn(process.execPath, [join(import.meta.dirname, 'restore-half.ts'), url], {
      stdio: ['pipe', 'inherit', 'inherit'],
    });
    child.stdin.on('error', () => undefined).write(odd.subarray(0, odd.length - 2_000));
    const busy = `SELECT count(*) FROM pg_stat_activity WHERE datname = '${name}' AND state = 'idle in transaction'`;
    await waitFor('psql to have run it', async () => (await cluster.psql('postgres', busy)) === '1');
    child.kill('SIGKILL');
    const left = `SELECT count(*) FROM pg_stat_activity WHERE datname = '${name}'`;
    await waitFor('the end of the session', async () => (await cluster.psql('postgres', left)) === '0');
    expect(await tablesIn(name)).toBe('0');
    expect(processesWith(`dbname='${name}'`)).toEqual([]);
  });

  it('is not taken for a success when psql takes its end for data', async () => {
    const { url, name } = await emptyDatabase();
    // No pg_dump writes it so, and the reader of dumps does not know it.
    const text = script('CREATE TABLE t (v text);', 'copy t from stdin;');
    const error = await failureOf(targetOf(url).restore(streamOf(text), PLAIN, SIGNAL));
    expect(error.message).toMatch(/^psql ended without having run the whole archive; nothing was changed/);
    expect(await tablesIn(name)).toBe('0');
  });

  it('shows the password to nobody', async () => {
    const { name } = await emptyDatabase();
    await cluster.psql('postgres', `ALTER DATABASE ${name} OWNER TO alice`);
    const url = cluster.urlOf(name, 'alice').replace('alice@', `alice:${PASSWORD}@`);
    let seen: string[] = [];
    async function* looking() {
      yield Buffer.from('--\n-- PostgreSQL database dump\n--\nCREATE SCHEMA mine;\n');
      seen = processesWith(`dbname='${name}'`).map(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
      yield Buffer.from('CREATE TABL mine.t ();\n-- PostgreSQL database dump complete\n');
    }
    const error = await failureOf(targetOf(url).restore(looking(), PLAIN, SIGNAL));
    expect(seen).toHaveLength(1);
    expect(seen.join()).not.toContain(PASSWORD);
    expect(error.message).toMatch(
      /^psql stopped at line 5 of the archive: ERROR: {2}syntax error at or near "TABL"/,
    );
    expect(JSON.stringify(error)).not.toContain(PASSWORD);
  });
});

describe('a dump that is not as pg_dump of this version writes it', () => {
  it('has a command of psql: it is refused, and not run', async () => {
    const file = join(await temporaryDirectory(), 'owned');
    for (const command of [
      `\\! touch ${file}`,
      `SELECT 1 \\g |touch ${file}`,
      `SELECT 1; \\! touch ${file}`,
    ]) {
      const { url, name } = await emptyDatabase();
      const text = script('CREATE TABLE t ();', command);
      const error = await failureOf(targetOf(url).restore(streamOf(text), PLAIN, SIGNAL));
      expect(error).toMatchObject({
        code: 'ARCHIVE_UNSAFE',
        message: expect.stringContaining('nothing was changed'),
      });
      expect(await tablesIn(name)).toBe('0');
    }
    expect(existsSync(file)).toBe(false);
  });

  it('hides a command from the reader of dumps: psql refuses it', async () => {
    const file = join(await temporaryDirectory(), 'owned');
    const { url, name } = await emptyDatabase();
    const text = script(
      'SET standard_conforming_strings = off;',
      String.raw`SELECT 'x\', ' \! touch ${file} --';`,
    );
    const error = await failureOf(targetOf(url).restore(streamOf(text), PLAIN, SIGNAL));
    expect(error.message).toMatch(/backslash commands are restricted.*; nothing was changed/);
    expect(existsSync(file)).toBe(false);
    expect(await tablesIn(name)).toBe('0');
  });

  it('sets a parameter that this server does not know: it is left out, and told', async () => {
    const { url, name } = await emptyDatabase();
    const target = targetOf(url);
    const text = script('SET newer_timeout = 0;', 'SET statement_timeout = 0;', 'CREATE TABLE t ();');
    const remarks = await target.restore(streamOf(text), PLAIN, SIGNAL);
    expect(remarks).toEqual(['the server does not know the parameter newer_timeout, so it was not set']);
    expect(await tablesIn(name)).toBe('1');
  });
});

describe('owners and privileges', () => {
  const OWNED = script(
    'CREATE TABLE public.t ();',
    'ALTER TABLE public.t OWNER TO nobody_here;',
    'GRANT SELECT ON TABLE public.t TO nobody_here;',
    'ALTER DEFAULT PRIVILEGES FOR ROLE nobody_here GRANT SELECT ON TABLES TO nobody_here;',
  );

  it('of a role that is not there make it fail, with what to do', async () => {
    const { url, name } = await emptyDatabase();
    const error = await failureOf(targetOf(url).restore(streamOf(OWNED), PLAIN, SIGNAL));
    expect(error.message).toBe(
      `psql stopped at line 5 of the archive: ERROR:  role "nobody_here" does not exist; nothing was changed in the database "${name}"`,
    );
    expect(error).toMatchObject({ code: 'RESTORE_FAILED', hint: expect.stringContaining('--globals') });
    expect(await tablesIn(name)).toBe('0');
  });

  it('are left out when they are not wanted', async () => {
    const { url, name } = await emptyDatabase();
    await targetOf(url).restore(streamOf(OWNED), { ...PLAIN, owners: false }, SIGNAL);
    expect(await tablesIn(name)).toBe('1');
  });
});

describe('what the server lacks', () => {
  const EXTENDED = script('CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public;');

  it('is named', async () => {
    const { url } = await emptyDatabase();
    const error = await failureOf(targetOf(url).restore(streamOf(EXTENDED), PLAIN, SIGNAL));
    expect(error).toMatchObject({ code: 'RESTORE_FAILED', hint: expect.stringContaining('package') });
    expect(error.message).toContain('this server lacks the extension postgis; nothing was changed');
  });

  it('is nothing against the archive in a drill', async () => {
    const { url } = await emptyDatabase();
    const error = await failureOf(
      targetOf(url, { scratch: true }).restore(streamOf(EXTENDED), PLAIN, SIGNAL),
    );
    expect(error.code).toBe('NOT_PROVABLE');
  });
});

describe('creating the database', () => {
  const LOCALE = { encoding: 'UTF8', collate: 'C', ctype: 'C' };

  it('makes it like the source', async () => {
    const name = 'Made "é"';
    await targetOf(cluster.urlOf(name)).restore(
      streamOf(odd),
      { ...PLAIN, create: true, locale: LOCALE },
      SIGNAL,
    );
    expect(
      await cluster.psql(name, 'SELECT datcollate FROM pg_database WHERE datname = current_database()'),
    ).toBe('C');
    expect(await textOf(cluster, name)).toBe(await textOf(cluster, 'odd'));
  });

  it('takes the next best locale where the server does not have it, keeps the encoding, and says so', async () => {
    const target = targetOf(cluster.urlOf('elsewhere'));
    const locale = { encoding: 'UTF8', collate: 'xx_YY.UTF-8', ctype: 'xx_YY.UTF-8', provider: 'libc' };
    const options = { ...PLAIN, create: true, locale };
    const remarks = await target.restore(streamOf(script('CREATE TABLE t ();')), options, SIGNAL);
    expect(remarks).toEqual([
      expect.stringMatching(/did not accept the locale.*xx_YY\.UTF-8.*UTF8, C\.UTF-8/),
    ]);
  });

  it('drops it again when the restore fails', async () => {
    const before = await databasesOf(cluster);
    const text = script('CREATE TABLE t ();', 'CREATE TABLE t ();');
    const error = await failureOf(
      targetOf(cluster.urlOf('doomed')).restore(streamOf(text), { ...PLAIN, create: true }, SIGNAL),
    );
    expect(error.message).toMatch(
      /line 5 .*"t" already exists; the database "doomed" that was made for it was dropped again$/,
    );
    expect(await databasesOf(cluster)).toEqual(before);
  });

  it('is refused for one that exists, and needed for one that does not', async () => {
    const { url } = await emptyDatabase();
    const exists = await failureOf(targetOf(url).restore(streamOf(odd), { ...PLAIN, create: true }, SIGNAL));
    expect(exists).toMatchObject({ code: 'TARGET_REFUSED', hint: expect.stringContaining('--clean') });
    const missing = cluster.urlOf('not_there');
    for (const clean of [false, true]) {
      const error = await failureOf(targetOf(missing).restore(streamOf(odd), { ...PLAIN, clean }, SIGNAL));
      expect(error).toMatchObject({ code: 'TARGET_REFUSED', hint: expect.stringContaining('--create') });
    }
  });
});

describe('a database that is not empty', () => {
  it('is refused, and left alone', async () => {
    const { url, name } = await emptyDatabase();
    await cluster.psql(name, 'CREATE TABLE mine (); CREATE DOMAIN "My ""stuff" AS int');
    const error = await failureOf(targetOf(url).restore(streamOf(odd), PLAIN, SIGNAL));
    expect(error.code).toBe('TARGET_REFUSED');
    expect(error.message).toContain('is not empty: it holds table public.mine; type public."My ""stuff"');
    expect(await tablesIn(name)).toBe('1');
  });
});
