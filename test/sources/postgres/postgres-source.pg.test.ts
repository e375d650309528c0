import { execFile, spawn } from 'node:child_process';
import { readFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ByteStream } from '../../../src/domain/ports.ts';
import { LOCK_CLASS, lockObject } from '../../../src/sources/postgres/advisory-lock.ts';
import { PostgresSource, type PostgresSourceOptions } from '../../../src/sources/postgres/postgres-source.ts';
import { type Cluster, runPsql, startCluster } from '../../../tools/cluster.ts';
import { fakeProgram } from '../../postgres/fake-program.ts';

const run = promisify(execFile);
const SIGNAL = new AbortController().signal;
const ROWS = 5_000;
let cluster: Cluster;
let dir = '';

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cofre-source-'));
  cluster = await startCluster();
  await cluster.createDatabase('shop');
  await cluster.psql(
    'shop',
    `CREATE SCHEMA sales;
     CREATE TABLE sales.orders (id serial PRIMARY KEY, note text);
     INSERT INTO sales.orders (note) SELECT E'tab\\t nl\\n back\\\\ é ' || n FROM generate_series(1, ${ROWS}) n;
     CREATE TABLE public.audit (at timestamptz);
     INSERT INTO public.audit VALUES (now());`,
  );
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
});

function source(more: Partial<PostgresSourceOptions> = {}): PostgresSource {
  return new PostgresSource({
    name: 'app',
    url: cluster.urlOf('shop'),
    format: 'plain',
    lockWaitTimeout_ms: 5_000,
    exclusive: false,
    ...more,
  });
}

/** A directory with a pg_dump that is new enough and runs this shell script. */
async function fakeDump(body: string): Promise<string> {
  const binDir = await mkdtemp(join(dir, 'bin-'));
  await fakeProgram(binDir, 'pg_dump', '99.1', body);
  return binDir;
}

async function read(stream: ByteStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function sessions(): Promise<string> {
  const sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cofre'";
  return await cluster.psql('postgres', sql);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('a captured dump', () => {
  it('restores with psql to the same rows', async () => {
    const capture = await source().capture(SIGNAL);
    const dump = await read(capture.stream);
    expect(capture.remarks()).toEqual({ changed: [], incomplete: [] });
    const target = await cluster.createDatabase('restored');
    await runPsql(cluster.binDir, target, dump.toString());
    const digest = 'SELECT count(*), md5(string_agg(o::text, $$,$$ ORDER BY id)) FROM sales.orders o';
    const expected = await cluster.psql('shop', digest);
    expect(expected).toMatch(new RegExp(`^${ROWS}\\|`));
    expect(await cluster.psql('restored', digest)).toBe(expected);
  });

  it('is in the custom format something that pg_restore lists, not compressed', async () => {
    const { stream } = await source({ format: 'custom' }).capture(SIGNAL);
    const file = join(dir, 'shop.dump');
    await writeFile(file, await read(stream));
    const { stdout } = await run(join(cluster.binDir, 'pg_restore'), ['-l', file]);
    expect(stdout).toMatch(/TABLE DATA sales orders/);
    expect(stdout).toMatch(/Compression: (?:0|none)/);
  });

  it('records where it came from', async () => {
    const { facts, stream } = await source().capture(SIGNAL);
    await read(stream);
    expect(facts).toEqual({
      database: 'shop',
      server_version: await cluster.psql('shop', 'SHOW server_version'),
      system_identifier: await cluster.psql('shop', 'SELECT system_identifier FROM pg_control_system()'),
      tool_version: expect.stringMatching(/^\d+\.\d+/),
      locale: expect.objectContaining({ encoding: 'UTF8', collate: expect.stringMatching(/^C/) }),
    });
  });

  it('records how the database sorts and encodes text', async () => {
    await cluster.psql(
      'postgres',
      `CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';
       CREATE DATABASE sorted TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'
         LOCALE_PROVIDER icu ICU_LOCALE 'pt-PT';`,
    );
    const locales = ['latin', 'sorted'].map(async (database) => {
      const { facts, stream } = await source({ url: cluster.urlOf(database) }).capture(SIGNAL);
      await read(stream);
      return facts.locale;
    });
    expect(await Promise.all(locales)).toMatchObject([
      { encoding: 'LATIN1', collate: 'C', ctype: 'C', provider: 'libc' },
      { encoding: 'UTF8', collate: 'C', ctype: 'C', provider: 'icu', provider_locale: 'pt-PT' },
    ]);
  });

  it('leaves the system identifier out where the role may not ask for it', async () => {
    await cluster.psql(
      'shop',
      'CREATE ROLE modest LOGIN; REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC; GRANT SELECT ON audit TO modest;',
    );
    const url = cluster.urlOf('shop', 'modest');
    const { facts, stream } = await source({ url, include: { tables: ['audit'] } }).capture(SIGNAL);
    expect((await read(stream)).toString()).toContain('COPY public.audit');
    expect(facts).not.toHaveProperty('system_identifier');
    expect(facts).toMatchObject({ database: 'shop' });
  });

  it('holds what the filters let through', async () => {
    const only = async (more: Partial<PostgresSourceOptions>) => {
      const { stream } = await source(more).capture(SIGNAL);
      return (await read(stream)).toString().match(/^COPY \S+/gm);
    };
    expect(await only({})).toEqual(['COPY public.audit', 'COPY sales.orders']);
    expect(await only({ include: { schemas: ['sales'] } })).toEqual(['COPY sales.orders']);
    expect(await only({ exclude: { schemas: ['sal*'] } })).toEqual(['COPY public.audit']);
    expect(await only({ include: { tables: ['sales.*'] } })).toEqual(['COPY sales.orders']);
    expect(await only({ exclude: { tables: ['sales.orders'] } })).toEqual(['COPY public.audit']);
  });

  it('leaves no session and no child behind, read to the end or not', async () => {
    await read((await source({ exclusive: true }).capture(SIGNAL)).stream);
    const pidFile = join(dir, 'given-up.pid');
    const binDir = await fakeDump(`echo $$ >${pidFile}; echo line; exec sleep 1000`);
    for await (const _chunk of (await source({ exclusive: true, binDir }).capture(SIGNAL)).stream) break;
    expect(isAlive(Number(await readFile(pidFile, 'utf8')))).toBe(false);
    const unread = await source({ exclusive: true }).capture(SIGNAL);
    await unread.stream[Symbol.asyncIterator]().return?.();
    await expect.poll(sessions).toBe('0');
  });
});

describe('A failed dump counted as success', () => {
  const LINES = 'echo "-- PostgreSQL database dump"; echo half';
  it.each([
    ['kills itself half-way', 'kill -9 $$', /pg_dump was killed by SIGKILL/],
    [
      'exits with status 1 half-way',
      'echo "pg_dump: error: disk on fire" >&2; exit 1',
      /status 1: .*disk on fire/,
    ],
    [
      'loses its connection half-way',
      'echo "server closed the connection unexpectedly" >&2; exit 1',
      /closed the connection/,
    ],
  ])('pg_dump %s: what arrived is passed on, then the stream throws', async (_name, end, message) => {
    const { stream } = await source({ binDir: await fakeDump(`${LINES}; ${end}`) }).capture(SIGNAL);
    let text = '';
    const reading = (async () => {
      for await (const chunk of stream) text += chunk.toString();
    })();
    await expect(reading).rejects.toMatchObject({
      code: 'TOOL_FAILED',
      message: expect.stringMatching(message),
    });
    expect(text).toContain('half');
  });

  it('pg_dump warns and exits with status 0: that is success', async () => {
    const binDir = await fakeDump(`${LINES}; echo "pg_dump: warning: circular foreign keys" >&2`);
    const { stream } = await source({ binDir }).capture(SIGNAL);
    expect((await read(stream)).toString()).toContain('half');
  });
});

describe('secrets', () => {
  it('pg_dump has the password in PGPASSWORD alone, and of PG* variables those about times', async () => {
    const binDir = await fakeDump('printf "%s\\n" "$@"; echo; env');
    const url = cluster.urlOf('shop').replace('postgres@', 'postgres:s3%27cret@');
    const env = { ...process.env, PGSSLMODE: 'prefer', PGOPTIONS: '-c work_mem=1MB', LC_ALL: 'C.UTF-8' };
    const { stream } = await source({ url, binDir, env }).capture(SIGNAL);
    const [args = '', variables = ''] = (await read(stream)).toString().split('\n\n');
    expect(args).toContain('--no-password');
    expect(args).toContain("--dbname=host='");
    // Nothing is added to them, since poolers refuse what they do not know.
    expect(args).toContain("options='-c work_mem=1MB'");
    expect(args).not.toContain('cret');
    expect(variables.match(/^PG.*$/gm)?.toSorted()).toEqual([
      'PGDATESTYLE=ISO',
      "PGPASSWORD=s3'cret",
      'PGTZ=UTC',
    ]);
    expect(variables).toMatch(/^LC_MESSAGES=C$/m);
  });
});

describe('locks', () => {
  /** Runs the work while another session holds every right to a table. */
  async function whileLocked(work: () => Promise<void>): Promise<void> {
    const child = spawn(join(cluster.binDir, 'psql'), ['-XAtq', '-d', cluster.urlOf('shop')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.write("BEGIN; LOCK TABLE sales.orders IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n");
    try {
      await new Promise((resolve) => child.stdout.once('data', resolve));
      await work();
    } finally {
      child.stdin.end();
      await new Promise((resolve) => child.once('close', resolve));
    }
  }

  it('a table lock that is not granted in time is SERVER_BUSY', async () => {
    await whileLocked(async () => {
      const { stream } = await source({ lockWaitTimeout_ms: 100 }).capture(SIGNAL);
      await expect(read(stream)).rejects.toMatchObject({
        code: 'SERVER_BUSY',
        message: expect.stringContaining('sales.orders'),
        hint: expect.stringContaining('lockWaitTimeout'),
      });
    });
  });

  it('an abort while pg_dump waits for a lock leaves no session at the server', async () => {
    await whileLocked(async () => {
      const controller = new AbortController();
      const reason = new Error('enough');
      const { stream } = await source({ exclusive: true }).capture(controller.signal);
      const reading = read(stream);
      const waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
      reading.catch(() => undefined);
      await expect.poll(async () => await cluster.psql('postgres', waiting)).toBe('1');
      controller.abort(reason);
      await expect(reading).rejects.toBe(reason);
      await expect.poll(sessions).toBe('0');
    });
  });

  it('exclusive: a second capture is SERVER_BUSY until the first has ended', async () => {
    const first = await source({ exclusive: true }).capture(SIGNAL);
    await expect(source({ exclusive: true }).capture(SIGNAL)).rejects.toMatchObject({
      code: 'SERVER_BUSY',
      message: expect.stringMatching(/process \d+ of the server/),
    });
    const other = await source({ exclusive: true, name: 'other' }).capture(SIGNAL);
    await read(other.stream);
    await read(first.stream);
    const again = await source({ exclusive: true }).capture(SIGNAL);
    await read(again.stream);
  });

  it('exclusive: the documented SQL gives the same keys', async () => {
    const sql = "SELECT ('x' || substr(encode(sha256('app/shop'), 'hex'), 1, 8))::bit(32)::int";
    expect(await cluster.psql('shop', sql)).toBe(String(lockObject('app', 'shop')));
    expect(Buffer.from(LOCK_CLASS.toString(16), 'hex').toString()).toBe('cofr');
  });

  it('exclusive: losing the session aborts the capture with LOCK_LOST', async () => {
    const pidFile = join(dir, 'lost.pid');
    const binDir = await fakeDump(`echo $$ >${pidFile}; echo line; exec sleep 1000`);
    const { stream } = await source({ exclusive: true, binDir }).capture(SIGNAL);
    const reading = (async () => {
      for await (const _chunk of stream) {
        await cluster.psql(
          'shop',
          `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE classid = ${LOCK_CLASS}`,
        );
      }
    })();
    await expect(reading).rejects.toMatchObject({
      code: 'LOCK_LOST',
      hint: expect.stringContaining('pooler'),
    });
    expect(isAlive(Number(await readFile(pidFile, 'utf8')))).toBe(false);
  });
});

describe('an abort', () => {
  it('ends a pg_dump that hangs and says nothing', async () => {
    const pidFile = join(dir, 'hanging.pid');
    const binDir = await fakeDump(`echo $$ >${pidFile}; sleep 1000`);
    const controller = new AbortController();
    const reason = new Error('enough');
    const { stream } = await source({ binDir }).capture(controller.signal);
    const reading = read(stream);
    reading.catch(() => undefined);
    await expect.poll(async () => await readFile(pidFile, 'utf8').catch(() => '')).toMatch(/\d/);
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    expect(isAlive(Number(await readFile(pidFile, 'utf8')))).toBe(false);
  });

  it('before and during the connection gives its reason', async () => {
    const reason = new Error('enough');
    await expect(source().capture(AbortSignal.abort(reason))).rejects.toBe(reason);
  });

  it('between capture and the first byte lets go of the advisory lock', async () => {
    const controller = new AbortController();
    await source({ exclusive: true }).capture(controller.signal);
    controller.abort();
    await expect.poll(sessions).toBe('0');
  });
});
