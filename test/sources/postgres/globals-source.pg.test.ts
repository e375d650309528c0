import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ByteStream, Finding } from '../../../src/domain/ports.ts';
import { PlainDumpInspector } from '../../../src/inspect/plain-dump.ts';
import { GlobalsSource, type GlobalsSourceOptions } from '../../../src/sources/postgres/globals-source.ts';
import { type Cluster, startCluster } from '../../../tools/cluster.ts';
import { fakeProgram } from '../../postgres/fake-program.ts';
import { waitFor } from '../../support/wait-for.ts';

const SIGNAL = new AbortController().signal;
const PASSWORD = 'correct horse';
let cluster: Cluster;
let dir = '';

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cofre-globals-'));
  cluster = await startCluster();
  await cluster.createDatabase('shop');
  await cluster.psql(
    'shop',
    `CREATE ROLE staff NOLOGIN;
     CREATE ROLE alice LOGIN PASSWORD '${PASSWORD}' IN ROLE staff;
     CREATE ROLE "Odd ""name"" $1; ç" CREATEDB;
     GRANT staff TO "Odd ""name"" $1; ç" WITH ADMIN OPTION;
     ALTER ROLE alice SET work_mem = '7MB';
     COMMENT ON ROLE staff IS 'people';
     CREATE ROLE reader LOGIN;
     SET allow_in_place_tablespaces = true;
     CREATE TABLESPACE fast LOCATION '';
     REVOKE CONNECT ON DATABASE postgres FROM PUBLIC;
     REVOKE CONNECT ON DATABASE template1 FROM PUBLIC;`,
  );
});
afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  await rm(dir, { recursive: true });
});

function source(more: Partial<GlobalsSourceOptions> = {}): GlobalsSource {
  return new GlobalsSource({ database: 'app', url: cluster.urlOf('shop'), passwords: false, ...more });
}

async function read(stream: ByteStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function dump(from: GlobalsSource): Promise<string> {
  return (await read((await from.capture(SIGNAL)).stream)).toString();
}

function errors(findings: Finding[]): Finding[] {
  return findings.filter(({ severity }) => severity === 'error');
}

describe('the roles and tablespaces of a server', () => {
  it('are a series of their own, a plain dump beside that of the database', () => {
    expect(source()).toMatchObject({ name: 'app_globals', type: 'database', format: 'plain' });
  });

  it('hold every role with memberships and settings, and no hash of a password', async () => {
    const text = await dump(source());
    for (const line of [
      'CREATE ROLE alice;',
      'CREATE ROLE "Odd ""name"" $1; ç";',
      "ALTER ROLE alice SET work_mem TO '7MB';",
      "COMMENT ON ROLE staff IS 'people';",
    ]) {
      expect(text).toContain(line);
    }
    expect(text).toMatch(/^GRANT staff TO alice/m);
    expect(text).toMatch(/^GRANT staff TO "Odd ""name"" \$1; ç" WITH ADMIN OPTION/m);
    expect(text).toMatch(/^CREATE TABLESPACE fast OWNER postgres/m);
    expect(text).not.toMatch(/PASSWORD|SCRAM-SHA-256|md5/);
    expect(text).not.toMatch(/^CREATE DATABASE|^\\connect/m);
  });

  it('hold the hashes where they are asked for', async () => {
    expect(await dump(source({ passwords: true }))).toMatch(
      /^ALTER ROLE alice .* PASSWORD 'SCRAM-SHA-256\$/m,
    );
  });

  it('end with a line that the inspector knows, and hold no table', async () => {
    const inspector = new PlainDumpInspector();
    inspector.write(Buffer.from(await dump(source())));
    expect((await inspector.end()).tables).toEqual([]);
  });

  it('say where they came from', async () => {
    const capture = await source().capture(SIGNAL);
    await read(capture.stream);
    expect(capture.facts).toEqual({
      database: 'shop',
      server_version: expect.stringMatching(new RegExp(`^${cluster.major}\\.`)),
      tool_version: expect.stringMatching(/^\d+\./),
      system_identifier: expect.stringMatching(/^\d+$/),
    });
    expect(capture.remarks()).toEqual({ changed: [], incomplete: [] });
  });

  it('restore on another server', async () => {
    const text = (await dump(source({ passwords: true }))).replace(
      /^(CREATE|ALTER) ROLE postgres\b.*$/gm,
      '',
    );
    await using other = await startCluster();
    await other.psql('postgres', text.replace(/^.*TABLESPACE.*$/gm, ''));
    const members = `SELECT string_agg(m.rolname, ',' ORDER BY m.rolname) FROM pg_auth_members a
                       JOIN pg_roles m ON m.oid = a.member JOIN pg_roles r ON r.oid = a.roleid WHERE r.rolname = 'staff'`;
    expect(await other.psql('postgres', members)).toBe('Odd "name" $1; ç,alice');
    const hash = "SELECT rolpassword FROM pg_authid WHERE rolname = 'alice'";
    expect(await other.psql('postgres', hash)).toBe(await cluster.psql('shop', hash));
  });
});

describe('a role that is no superuser, and may connect to its own database only', () => {
  it('may archive them without passwords', async () => {
    const from = source({ url: cluster.urlOf('shop', 'reader') });
    expect(errors(await from.preflight(SIGNAL))).toEqual([]);
    expect(await dump(from)).toContain('CREATE ROLE alice;');
  });

  it('may not with passwords, and is told so before', async () => {
    const from = source({ url: cluster.urlOf('shop', 'reader'), passwords: true });
    expect(errors(await from.preflight(SIGNAL))).toEqual([
      expect.objectContaining({
        code: 'UNREADABLE',
        path: 'pg_catalog.pg_authid',
        message: expect.stringContaining('the role "reader" may not read the hashes of passwords'),
        hint: expect.stringContaining('set `globals` to true'),
      }),
    ]);
    await expect(dump(from)).rejects.toMatchObject({ code: 'UNREADABLE' });
  });
});

describe('the preflight', () => {
  it('says what it found', async () => {
    const messages = (await source().preflight(SIGNAL)).map(
      ({ severity, message }) => `${severity}: ${message}`,
    );
    expect(messages).toEqual([
      expect.stringMatching(/^info: connected to database "shop" at .* as user "postgres", PostgreSQL \d+/),
      expect.stringMatching(/^info: pg_dumpall \d+.*pg_dumpall$/),
    ]);
    expect(errors(await source({ passwords: true }).preflight(SIGNAL))).toEqual([]);
  });

  it('names a server that is not there, and a program that is missing or too old', async () => {
    const lost = source({ url: 'postgresql:///shop?host=/nowhere&user=x' });
    expect(errors(await lost.preflight(SIGNAL))).toMatchObject([{ code: 'SERVER_UNREACHABLE' }]);
    expect(errors(await source({ binDir: dir }).preflight(SIGNAL))).toMatchObject([{ code: 'TOOL_MISSING' }]);
    const old = await mkdtemp(join(dir, 'old-'));
    await fakeProgram(old, 'pg_dumpall', '9.6.1', 'exit 1');
    expect(errors(await source({ binDir: old }).preflight(SIGNAL))).toMatchObject([
      { code: 'SERVER_TOO_NEW' },
    ]);
  });
});

it('a program that fails, or hangs until it is aborted, fails the stream and leaves nothing', async () => {
  const failing = await mkdtemp(join(dir, 'failing-'));
  await fakeProgram(failing, 'pg_dumpall', '99.1', `echo '-- half'; echo 'no more' >&2; exit 1`);
  await expect(dump(source({ binDir: failing }))).rejects.toMatchObject({
    code: 'TOOL_FAILED',
    message: expect.stringContaining('no more'),
  });

  const hanging = await mkdtemp(join(dir, 'hanging-'));
  await fakeProgram(hanging, 'pg_dumpall', '99.1', `echo $$; exec sleep 600`);
  const stop = new AbortController();
  const iterator = (await source({ binDir: hanging }).capture(stop.signal)).stream[Symbol.asyncIterator]();
  const { value } = await iterator.next();
  const pid = Number(String(value));
  stop.abort(new Error('enough'));
  await expect(iterator.next()).rejects.toThrow('enough');
  await waitFor('the end of the program', async () => {
    try {
      process.kill(pid, 0);
      return undefined;
    } catch {
      return true;
    }
  });
  const sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cofre'";
  expect(await cluster.psql('shop', sql)).toBe('0');
});

it('a malformed URI is refused at once, by the name of its source and without a part of it', () => {
  expect(() => source({ url: 'postgresql://u:%ZZs3cret@h/d' })).toThrow(/^source app: .*password holds a %/);
  expect(JSON.stringify(source({ url: 'postgresql://u:s3cret@h/d' }))).not.toContain('s3cret');
});
