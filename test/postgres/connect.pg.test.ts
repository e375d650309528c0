import { execFile } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/postgres/connect.ts';
import { resolveConnection } from '../../src/postgres/connection-params.ts';
import { PostgresSource } from '../../src/sources/postgres/postgres-source.ts';
import { type Cluster, type ClusterOptions, startCluster } from '../../tools/cluster.ts';
import { type Certificates, makeCertificates } from './certificates.ts';

const run = promisify(execFile);
const PASSWORD = 's3/cr@t :%';
const ENCODED = encodeURIComponent(PASSWORD);
const SIGNAL = new AbortController().signal;

let dir = '';
let home = '';
let certificates: Certificates;
/** Passwords and TLS. */
let guarded: Cluster;
/** Neither. */
let open: Cluster;
const clusters: Cluster[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cofre-tls-'));
  home = join(dir, 'home');
  await mkdir(home);
  certificates = await makeCertificates(dir, 'db.test');
  const tls = { ssl: 'on', ssl_cert_file: certificates.serverCert, ssl_key_file: certificates.serverKey };
  const start = async (options: ClusterOptions) => {
    const cluster = await startCluster({ listenPort: 0, ...options });
    clusters.push(cluster);
    return cluster;
  };
  [guarded, open] = await Promise.all([start({ auth: 'scram', settings: tls }), start({})]);
  await guarded.createDatabase('shop');
  await guarded.psql('shop', `CREATE ROLE app LOGIN PASSWORD '${PASSWORD}'; CREATE ROLE outsider LOGIN;`);
});
afterAll(async () => {
  await Promise.all(clusters.map(async (cluster) => await cluster[Symbol.asyncDispose]()));
  await rm(dir, { recursive: true });
});

const env = (more: Record<string, string> = {}) => ({ PATH: process.env['PATH'] ?? '', HOME: home, ...more });
const tcp = (query = '', credentials = `app:${ENCODED}`, host = '127.0.0.1') =>
  `postgresql://${credentials}@${host}:${guarded.port}/shop${query}`;
const file = (path: string) => encodeURIComponent(path);

/** What the server says of a session, with TLS or without. */
const WHOAMI = `SELECT concat_ws('|', current_user, current_database(), coalesce(inet_server_port()::text, 'socket'),
  ssl, current_setting('application_name'), current_setting('search_path'), current_setting('work_mem'))
  AS me FROM pg_stat_ssl WHERE pid = pg_backend_pid()`;

it('the variables of this process do not count, those of the environment given do', async () => {
  const mine = { PGOPTIONS: '-c work_mem=7MB', PGREPLICATION: 'true', PGAPPNAME: 'mine', PGPORT: '1' };
  Object.assign(process.env, mine);
  try {
    const params = await resolveConnection(open.urlOf('postgres'), env());
    await using session = await connect(params, env(), SIGNAL);
    expect(await session.query(WHOAMI)).toMatchObject([{ me: expect.stringMatching(/cofre.*\|4MB$/) }]);
    expect(await whoami(open.urlOf('postgres'), { PGOPTIONS: '-c work_mem=8MB' })).toMatch(/8MB$/);
  } finally {
    for (const name of Object.keys(mine)) delete process.env[name];
  }
});

async function whoami(uri: string, more?: Record<string, string>): Promise<string> {
  const params = await resolveConnection(uri, env(more));
  await using session = await connect(params, env(more), SIGNAL);
  const [row] = await session.query<{ me: string }>(WHOAMI);
  return row?.me ?? '';
}

async function failure(uri: string, more?: Record<string, string>): Promise<Error> {
  const error: unknown = await whoami(uri, more).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Error);
  expect(String(error) + JSON.stringify(error)).not.toMatch(/s3|cr@t|cr%40t/);
  return error as Error;
}

describe('one URI means the same to pg and to libpq', () => {
  const cases: readonly [string, () => string, () => Record<string, string>][] = [
    ['TCP with an encoded password', () => tcp('?application_name=x'), () => ({})],
    [
      'a socket directory as the host',
      () => `${guarded.urlOf('shop', 'app')}?application_name=x`,
      () => ({ PGPASSWORD: PASSWORD }),
    ],
    [
      'a socket directory as a parameter',
      () =>
        `postgres:///shop?host=${guarded.socketDir}&port=${guarded.port}&user=app&password=${ENCODED}&application_name=x`,
      () => ({}),
    ],
    [
      'nothing but the environment',
      () => 'postgresql://',
      () => ({
        PGHOST: '127.0.0.1',
        PGPORT: String(guarded.port),
        PGUSER: 'app',
        PGDATABASE: 'shop',
        PGPASSWORD: PASSWORD,
        PGAPPNAME: 'x',
        PGOPTIONS: '-c work_mem=1234kB',
      }),
    ],
    [
      'options',
      () => tcp('?application_name=x&options=-c%20search_path%3Da%2Cb%20-c%20work_mem%3D777kB'),
      () => ({}),
    ],
    ['sslmode=disable', () => tcp('?application_name=x&sslmode=disable'), () => ({})],
    ['sslmode=allow', () => tcp('?application_name=x&sslmode=allow'), () => ({})],
    ['sslmode=require', () => tcp('?application_name=x&sslmode=require'), () => ({})],
    [
      'hostaddr',
      () => tcp('?application_name=x&hostaddr=127.0.0.1', undefined, 'no.such.host.invalid'),
      () => ({}),
    ],
    [
      'the first of several hosts that answers',
      () => `postgresql://app:${ENCODED}@127.0.0.1:1,127.0.0.1:${guarded.port}/shop?application_name=x`,
      () => ({}),
    ],
    ['a service and a password file', () => 'postgresql:///?service=shop&application_name=x', () => ({})],
    [
      'read-only sessions',
      () =>
        tcp(
          '?application_name=x&target_session_attrs=read-only&options=-c%20default_transaction_read_only%3Don',
        ),
      () => ({}),
    ],
    [
      'channel_binding=require',
      () => tcp('?application_name=x&channel_binding=require&sslmode=require'),
      () => ({}),
    ],
    [
      'the database that is named after the user',
      () =>
        `postgresql://postgres@${encodeURIComponent(guarded.socketDir)}:${guarded.port}?application_name=x`,
      () => ({}),
    ],
  ];

  it.each(cases)('%s', async (_name, uri, more) => {
    await writeFile(
      join(home, '.pg_service.conf'),
      `[shop]\nhost=localhost\nhostaddr=127.0.0.1\nport=${guarded.port}\nuser=app\ndbname=shop\n`,
    );
    const line = `localhost:${guarded.port}:*:app:${PASSWORD.replaceAll(':', '\\:')}\n`;
    await writeFile(join(home, '.pgpass'), line, { mode: 0o600 });
    try {
      const psql = await run(join(guarded.binDir, 'psql'), ['-XAtw', uri(), '-c', WHOAMI], {
        env: env(more()),
      });
      expect(await whoami(uri(), more())).toBe(psql.stdout.trim());
    } finally {
      await Promise.all(['.pg_service.conf', '.pgpass'].map((name) => rm(join(home, name))));
    }
  });
});

describe('a server that cannot be reached is SERVER_UNREACHABLE', () => {
  it.each([
    ['nobody listens', () => 'postgresql://u@127.0.0.1:1/d'],
    ['no such socket', () => `postgresql://u@%2Fnonexistent/d`],
    ['no such name', () => 'postgresql://u@no.such.host.invalid/d'],
    ['none of several', () => 'postgresql://u@127.0.0.1:1,127.0.0.1:2/d'],
    ['no standby among them', () => tcp('?target_session_attrs=standby')],
  ])('%s', async (_name, uri) => {
    expect(await failure(uri())).toMatchObject({
      code: 'SERVER_UNREACHABLE',
      hint: expect.stringMatching(/\w/),
    });
  });

  it('takes a primary when no standby is there and one is only preferred', async () => {
    expect(await whoami(tcp('?target_session_attrs=prefer-standby'))).toMatch(/^app\|shop/);
  });

  it('gives up after connect_timeout on a server that says nothing, and leaves no socket', async () => {
    const sockets = new Set<unknown>();
    const mute = createServer((socket) => {
      sockets.add(socket);
      socket.resume();
      socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
    });
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
    const { port } = mute.address() as { port: number };
    const error = await failure(`postgresql://u@127.0.0.1:${port}/d?connect_timeout=2`);
    expect(error).toMatchObject({ code: 'SERVER_UNREACHABLE', message: expect.stringContaining('timeout') });

    const controller = new AbortController();
    const reason = new Error('enough');
    const params = await resolveConnection(`postgresql://u@127.0.0.1:${port}/d`, env());
    const pending = connect(params, env(), controller.signal);
    setTimeout(() => controller.abort(reason), 50);
    await expect(pending).rejects.toBe(reason);
    await expect.poll(() => sockets.size).toBe(0);
    mute.close();
  });
});

describe('a login that is refused is SERVER_AUTH', () => {
  it.each([
    ['wrong password', () => tcp('', 'app:wrong'), /password authentication failed/],
    ['no password', () => tcp('', 'app'), /asks for a password/],
    ['no such role', () => tcp('', 'nobody:x'), /nobody/],
    ['no such database', () => tcp().replace('/shop', '/absent'), /"absent" does not exist/],
    ['no TLS at the server', () => `${open.tcpUrlOf('postgres')}?sslmode=require`, /does not support SSL/],
    [
      'a certificate for another name',
      () => tcp(`?sslmode=verify-full&sslrootcert=${file(certificates.root)}`),
      /altnames|IP/,
    ],
    [
      'a certificate of a stranger',
      () => tcp(`?sslmode=require&sslrootcert=${file(certificates.strangerRoot)}`),
      /certificate/,
    ],
    [
      'a certificate that no authority of the system signed',
      () => tcp('?sslmode=verify-full&sslrootcert=system'),
      /certificate/,
    ],
    ['no root certificate to verify with', () => tcp('?sslmode=verify-full'), /root certificate/],
    [
      'the system’s authorities without a check of the name',
      () => tcp('?sslmode=require&sslrootcert=system'),
      /sslmode=require/,
    ],
    [
      'no channel binding without TLS',
      () => tcp('?sslmode=disable&channel_binding=require'),
      /channel_binding/,
    ],
    [
      'no channel binding with a server that trusts',
      () => `${open.url}?channel_binding=require`,
      /channel_binding/,
    ],
    ['a login method that is not allowed', () => tcp('?require_auth=md5'), /require_auth/],
    ['a login method that is excluded', () => tcp('?require_auth=%21scram-sha-256'), /require_auth/],
  ])('%s', async (_name, uri, message) => {
    expect(await failure(uri())).toMatchObject({
      code: 'SERVER_AUTH',
      message: expect.stringMatching(message),
      hint: expect.stringMatching(/\w/),
    });
  });

  it('does not go on to the next host', async () => {
    const uri = `postgresql://app:wrong@127.0.0.1:${guarded.port},127.0.0.1:${open.port}/shop`;
    expect(await failure(uri)).toMatchObject({ code: 'SERVER_AUTH' });
  });
});

describe('TLS verification that succeeds', () => {
  it.each([
    [
      'verify-full by name',
      () =>
        tcp(
          `?sslmode=verify-full&hostaddr=127.0.0.1&sslrootcert=${file(certificates.root)}`,
          undefined,
          'db.test',
        ),
    ],
    ['verify-ca whatever the name', () => tcp(`?sslmode=verify-ca&sslrootcert=${file(certificates.root)}`)],
    ['prefer', () => tcp()],
    ['require_auth=scram-sha-256', () => tcp('?require_auth=scram-sha-256')],
  ])('%s', async (_name, uri) => {
    expect(await whoami(uri())).toMatch(/\|t\|cofre\|/);
  });

  it('takes the root certificate of ~/.postgresql', async () => {
    await mkdir(join(home, '.postgresql'));
    try {
      await copyFile(certificates.strangerRoot, join(home, '.postgresql/root.crt'));
      expect(await failure(tcp('?sslmode=require'))).toMatchObject({ code: 'SERVER_AUTH' });
      // As libpq has it: a certificate that does not verify is a reason to go on without TLS.
      expect(await whoami(tcp('?sslmode=prefer'))).toMatch(/\|f\|cofre\|/);
      await copyFile(certificates.root, join(home, '.postgresql/root.crt'));
      expect(await whoami(tcp('?sslmode=require'))).toMatch(/\|t\|cofre\|/);
    } finally {
      await rm(join(home, '.postgresql'), { recursive: true });
    }
  });
});

it('gives pg_dump the same server, TLS and password', async () => {
  await guarded.psql(
    'shop',
    'CREATE TABLE item (id int); INSERT INTO item VALUES (1); GRANT SELECT ON item TO app;',
  );
  const source = new PostgresSource({
    name: 'shop',
    url: `postgresql://app:${ENCODED}@127.0.0.1:1,db.test:${guarded.port}/shop?hostaddr=127.0.0.1,127.0.0.1&sslmode=verify-full&sslrootcert=${file(certificates.root)}`,
    format: 'plain',
    lockWaitTimeout_ms: 1000,
    exclusive: false,
    env: env({ PGHOST: 'wrong', PGSSLMODE: 'disable', PGPASSWORD: 'wrong' }),
  });
  const findings = await source.preflight(SIGNAL);
  expect(findings.filter(({ severity }) => severity !== 'info')).toEqual([]);
  const { stream } = await source.capture(SIGNAL);
  let text = '';
  for await (const chunk of stream) text += chunk.toString();
  expect(text).toContain('COPY public.item (id) FROM stdin;\n1\n');
});
