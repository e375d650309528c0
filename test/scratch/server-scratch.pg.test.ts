import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import type { DumpNeeds } from '../../src/domain/dump-survey.ts';
import type { ScratchDatabase, ScratchWish } from '../../src/domain/restore-ports.ts';
import { connectForLife } from '../../src/scratch/lasting-session.ts';
import { resolveConnection } from '../../src/postgres/connection-params.ts';
import { serverScratch, sweepServerScratch } from '../../src/scratch/server-scratch.ts';
import { type Cluster, runPsql, startCluster } from '../../tools/cluster.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { waitFor } from '../support/wait-for.ts';
import { startHolder } from './holder.ts';

const NOTHING: DumpNeeds = { roles: [], superusers: [], extensions: [], tablespaces: [] };
let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ auth: 'scram', listenPort: 0 });
  await cluster.psql(
    'postgres',
    "CREATE ROLE drill LOGIN CREATEDB PASSWORD 's%c=r&t@/'; CREATE ROLE poor LOGIN PASSWORD 'x';",
  );
  await cluster.createDatabase('other');
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

function urlOf(user = 'drill', password = 's%c=r&t@/', database = 'postgres'): string {
  const url = new URL(cluster.tcpUrlOf(database, user));
  return `${url.protocol}//${user}:${encodeURIComponent(password)}@${url.host}${url.pathname}?sslmode=disable`;
}

async function open(
  wish: Partial<ScratchWish> = {},
  url = urlOf(),
  signal = NO_ABORT,
): Promise<ScratchDatabase> {
  const made = await serverScratch({ url, env: {} })(
    { major: 0, needs: NOTHING, raw_size: 0, ...wish },
    signal,
  );
  onTestFinished(async () => await made[Symbol.asyncDispose]());
  return made;
}

test('what is made and dropped may take longer than its role may', async () => {
  await cluster.psql('postgres', "ALTER ROLE drill SET statement_timeout = '20s'");
  await using session = await connectForLife(await resolveConnection(urlOf(), {}), {}, NO_ABORT);
  expect(await session.query('SHOW statement_timeout')).toEqual([{ statement_timeout: '0' }]);
  await cluster.psql('postgres', 'ALTER ROLE drill RESET statement_timeout');
});

async function databases(): Promise<string[]> {
  const found = await cluster.psql(
    'postgres',
    "SELECT datname FROM pg_database WHERE datname ~ '^cofre' ORDER BY 1",
  );
  return found === '' ? [] : found.split('\n');
}

describe('a database for a drill, on a configured server', () => {
  test('is there for as long as it is not disposed of, and goes with the sessions in it', async () => {
    const locale = { encoding: 'LATIN1', collate: 'C', ctype: 'C' };
    const made = await open({ locale });
    const [name = ''] = await databases();
    expect(name).toMatch(/^cofre_drill_[0-9a-f]{16}$/);
    expect(await runPsql(cluster.binDir, made.url, 'SELECT current_database(), current_user')).toBe(
      `${name}|drill`,
    );
    expect(await runPsql(cluster.binDir, made.url, 'SHOW server_encoding')).toBe('LATIN1');
    expect(made).toMatchObject({ sameLocale: true, remarks: [] });
    expect(made.binDir).toBeUndefined();
    const busy = runPsql(cluster.binDir, made.url, 'SELECT pg_sleep(600)').catch(() => 'ended');
    const sessions = `SELECT count(*) FROM pg_stat_activity WHERE datname = '${name}'`;
    await waitFor('the session', async () => (await cluster.psql('postgres', sessions)) === '1');
    await made[Symbol.asyncDispose]();
    expect(await busy).toBe('ended');
    expect(await databases()).toEqual([]);
  });

  test('names the roles that the server does not have, and those that its role may not act as', async () => {
    const made = await open({ needs: { ...NOTHING, roles: ['drill', 'nobody here', 'poor'] } });
    expect(made.missingRoles).toEqual(['nobody here']);
    expect(made.foreignRoles).toEqual(['poor']);
  });

  test('goes with the subscriptions that were restored into it', async () => {
    const made = await open({}, cluster.url);
    await runPsql(
      cluster.binDir,
      made.url,
      "CREATE SUBSCRIPTION s CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false, slot_name = 'of_another')",
    );
    await made[Symbol.asyncDispose]();
    expect(await databases()).toEqual([]);
    expect(made.left?.()).toBeUndefined();
  });

  test('says what is left of it when it cannot be dropped', async () => {
    const made = await open();
    const [name = ''] = await databases();
    await cluster.psql('postgres', `ALTER DATABASE ${name} IS_TEMPLATE true`);
    await made[Symbol.asyncDispose]();
    expect(made.left?.()).toMatch(
      /^the database cofre_drill_\w+ is still on the server at .*: .*template database/,
    );
    await cluster.psql('postgres', `ALTER DATABASE ${name} IS_TEMPLATE false; DROP DATABASE ${name}`);
  });

  test('goes also when the session that held it was ended', async () => {
    const made = await open();
    await cluster.psql(
      'postgres',
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'drill'",
    );
    await made[Symbol.asyncDispose]();
    expect(await databases()).toEqual([]);
  });

  test('is not left by an abort', async () => {
    const reason = new BackupError('CANCELLED', 'stopped');
    await expect(open({}, urlOf(), AbortSignal.abort(reason))).rejects.toBe(reason);
    const ends: unknown[] = [];
    // At whatever moment it comes: while it connects, asks, creates.
    for (const delay_ms of [1, 5, 10, 20, 30, 40, 60, 80]) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), delay_ms);
      try {
        await using _ = await open({}, urlOf(), controller.signal);
      } catch (error) {
        ends.push(error);
      }
    }
    expect(new Set(ends)).toEqual(new Set([reason]));
    expect(await databases()).toEqual([]);
  });
});

test('an abort waits for a database that is just being made, and drops it', async () => {
  const reason = new BackupError('CANCELLED', 'stopped');
  const controller = new AbortController();
  const holding = cluster.psql(
    'postgres',
    'BEGIN; LOCK pg_database IN SHARE MODE; SELECT pg_sleep(1.5); COMMIT;',
  );
  const opening = open({}, urlOf(), controller.signal).catch((error: unknown) => error);
  const waiting =
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND usename = 'drill'";
  await waitFor('the lock', async () => (await cluster.psql('postgres', waiting)) === '1');
  controller.abort(reason);
  expect(await opening).toBe(reason);
  await holding;
  await waitFor('the sessions to end', async () => (await cluster.psql('postgres', waiting)) === '0');
  expect(await databases()).toEqual([]);
});

describe('what a dead drill left', () => {
  test('is dropped by the sweep, by which maintenance database it was made, and nothing else', async () => {
    const living = await startHolder({ what: 'server', parent: '', url: urlOf('drill', undefined, 'other') });
    const [alive] = await databases();
    const dead = await startHolder({ what: 'server', parent: '', url: urlOf() });
    expect(dead.error).toBeUndefined();
    await cluster.psql(
      'postgres',
      'CREATE DATABASE cofre_drill_of_my_own OWNER drill; CREATE DATABASE cofre_drill_0123456789abcdef;',
    );
    const names = await databases();
    expect(names.length).toBe(4);
    expect(await sweepServerScratch({ url: urlOf(), env: {} }, NO_ABORT)).toEqual([]);
    await dead.kill();
    const swept = await waitFor('the sweep', async () => {
      const dropped = await sweepServerScratch({ url: urlOf(), env: {} }, NO_ABORT);
      return dropped.length > 0 ? dropped : undefined;
    });
    expect(swept.length).toBe(1);
    // One of a role that we may not act as, one that merely looks like one, and one in use stay.
    expect(await databases()).toEqual([...names].filter((name) => name !== swept[0]));
    expect(await databases()).toContain(alive);
    await living.release();
    await cluster.psql(
      'postgres',
      'DROP DATABASE cofre_drill_of_my_own; DROP DATABASE cofre_drill_0123456789abcdef;',
    );
    expect(await databases()).toEqual([]);
  });

  test('is dropped by the next drill', async () => {
    const dead = await startHolder({ what: 'server', parent: '', url: urlOf() });
    await dead.kill();
    const [left = ''] = await databases();
    await waitFor('the next drill', async () => {
      const made = await open();
      const found = await databases();
      await made[Symbol.asyncDispose]();
      return !found.includes(left);
    });
    expect(await databases()).toEqual([]);
  });
});

describe('not provable here', () => {
  test('a server that is older than the dump', async () => {
    await expect(open({ major: 99 })).rejects.toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining('the dump is of PostgreSQL 99') as string,
    });
  });

  test('a role that may not create databases', async () => {
    await expect(open({}, urlOf('poor', 'x'))).rejects.toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining('the role poor may not create databases') as string,
      hint: expect.stringContaining('ALTER ROLE poor CREATEDB') as string,
    });
  });

  test('a server that cannot be reached, or refuses the login, without a word of the password', async () => {
    for (const url of [
      urlOf('drill', 'wrong-secret'),
      'postgresql://drill:wrong-secret@127.0.0.1:1/postgres',
    ]) {
      const error = await open({}, url).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({
        code: 'NOT_PROVABLE',
        message: expect.stringContaining('127.0.0.1') as string,
      });
      expect((error as Error).message).not.toContain('wrong-secret');
    }
  });

  test('extensions and tablespaces that the server does not have', async () => {
    await expect(open({ needs: { ...NOTHING, extensions: ['nowhere'] } })).rejects.toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining('nowhere') as string,
    });
    await expect(open({ needs: { ...NOTHING, tablespaces: ['fast'] } })).rejects.toMatchObject({
      code: 'NOT_PROVABLE',
      message: expect.stringContaining('fast') as string,
    });
    expect(await databases()).toEqual([]);
  });

  test('a malformed URI is a fault of the configuration all the same', async () => {
    await expect(open({}, 'mysql://x')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});
