import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cleanEnv, type Keeper, startKeeper } from './cluster-keeper.ts';
import { assertReachable, type ServerOwner, serverOwner } from './server-owner.ts';
import { findServerPrograms, isExecutable } from './server-programs.ts';

export { findServerPrograms } from './server-programs.ts';

const execFileAsync = promisify(execFile);
const SUPERUSER = 'postgres';
const DEFAULT_PORT = 5432;
/** `sun_path` holds 104 bytes on macOS and 108 on Linux, with its closing NUL. */
const SOCKET_PATH_MAX_BYTES = 103;
const OUTPUT_MAX_BYTES = 1 << 30;

/**
 * The variable of the environment that names the data directory of a cluster that is stopped: the first cluster of
 * a process is a copy of it, which spares an initdb. The others are not: a copy has the system identifier of what
 * it was copied from, and it is by this that two servers are told apart.
 */
export const CLUSTER_TEMPLATE = 'COFRE_TEST_CLUSTER_TEMPLATE';

/** A PostgreSQL cluster that exists until it is disposed of, or until this process ends in any way. */
export interface Cluster extends AsyncDisposable {
  /** Superuser URI over the unix socket, database `postgres`. */
  readonly url: string;
  readonly socketDir: string;
  readonly dataDir: string;
  readonly binDir: string;
  readonly major: number;
  readonly superuser: string;
  /** Of the socket's name; also of TCP on 127.0.0.1 when `listenPort` was given. */
  readonly port: number;
  /** A URI over the unix socket, its directory percent-encoded as the host. */
  urlOf(database: string, user?: string): string;
  /** The same over TCP. Throws unless the cluster was started with a `listenPort`. */
  tcpUrlOf(database: string, user?: string): string;
  createDatabase(name: string): Promise<string>;
  /** Runs `psql` with the SQL on stdin, stops at the first error; what it printed without the last newline. */
  psql(database: string, sql: string): Promise<string>;
  /** Fast shutdown: open sessions are ended. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

export interface ClusterOptions {
  /** Where its directory is made; must be reachable for the server's user. Default: /tmp. */
  parent?: string;
  /** Lines for postgresql.conf; values are quoted here. */
  settings?: Record<string, string>;
  /** Listens on 127.0.0.1 as well; 0 picks a free port. Default: the unix socket only. */
  listenPort?: number;
  /**
   * `trust` (default): nobody needs a password. `scram`: everybody does, over the socket and TCP, but the
   * superuser on the socket.
   */
  auth?: 'trust' | 'scram';
}

/** A fresh cluster, running. Throws, and leaves nothing behind, when it does not start. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const binDir = findServerPrograms();
  if (binDir === undefined) {
    throw new Error('PostgreSQL server programs (initdb, pg_ctl, postgres) were not found');
  }
  const owner = await serverOwner();
  const dir = await mkdtemp(join(options.parent ?? shortTemporaryDir(), 'cofre-pg-'));
  const keeper = startKeeper(dir, [...owner.prefix, join(binDir, 'pg_ctl'), '-D', join(dir, 'data')]);
  try {
    const port = options.listenPort === 0 ? await freePort() : (options.listenPort ?? DEFAULT_PORT);
    const socketDir = await makeDirs(dir, owner, keeper);
    const cluster = new ThrowawayCluster({ binDir, owner, dir, socketDir, port, keeper, options });
    await cluster.initialise();
    await cluster.start();
    return cluster;
  } catch (error) {
    await keeper.release();
    throw error;
  }
}

interface Parts {
  binDir: string;
  owner: ServerOwner;
  dir: string;
  socketDir: string;
  port: number;
  keeper: Keeper;
  options: ClusterOptions;
}

class ThrowawayCluster implements Cluster {
  readonly superuser = SUPERUSER;
  readonly #parts: Parts;
  #major = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get url(): string {
    return this.urlOf('postgres');
  }

  get socketDir(): string {
    return this.#parts.socketDir;
  }

  get dataDir(): string {
    return join(this.#parts.dir, 'data');
  }

  get binDir(): string {
    return this.#parts.binDir;
  }

  get port(): number {
    return this.#parts.port;
  }

  get major(): number {
    return this.#major;
  }

  urlOf(database: string, user: string = SUPERUSER): string {
    return this.#uri(encodeURIComponent(this.socketDir), database, user);
  }

  tcpUrlOf(database: string, user: string = SUPERUSER): string {
    if (this.#parts.options.listenPort === undefined) throw new Error('the cluster has no listenPort');
    return this.#uri('127.0.0.1', database, user);
  }

  async createDatabase(name: string): Promise<string> {
    await this.psql('postgres', `CREATE DATABASE "${name.replaceAll('"', '""')}";`);
    return this.urlOf(name);
  }

  async psql(database: string, sql: string): Promise<string> {
    return await runPsql(this.binDir, this.urlOf(database), sql);
  }

  async stop(): Promise<void> {
    await this.#asOwner(join(this.binDir, 'pg_ctl'), ['-D', this.dataDir, '-m', 'fast', '-w', 'stop']);
  }

  async start(): Promise<void> {
    const log = join(this.#parts.dir, 'server.log');
    try {
      // Without -l the server would inherit our pipes, and waiting for their end would never end.
      await this.#asOwner(join(this.binDir, 'pg_ctl'), ['-D', this.dataDir, '-l', log, '-w', 'start']);
    } catch (error) {
      const printed = await readFile(log, 'utf8').catch(() => '');
      throw new Error(`the throwaway cluster did not start: ${printed}`, { cause: error });
    }
  }

  async initialise(): Promise<void> {
    const { dataDir } = this;
    const template = takeTemplate();
    if (template === undefined) {
      const locale = `--locale=${await utf8Locale()}`;
      const args = ['-D', dataDir, '-U', SUPERUSER, '--encoding=UTF8', locale, '--auth=trust', '--no-sync'];
      await this.#asOwner(join(this.binDir, 'initdb'), args);
    } else {
      await this.#asOwner('cp', ['-pR', `${template}/.`, dataDir]);
    }
    this.#major = Number.parseInt(await readFile(join(dataDir, 'PG_VERSION'), 'utf8'), 10);
    // A file that exists keeps its owner when it is written to. Of a setting that is there twice the last one counts.
    const conf = join(dataDir, 'postgresql.conf');
    await writeFile(conf, settingsFile(this.#settings()), { flag: 'a' });
    await writeFile(join(dataDir, 'pg_hba.conf'), accessFile(this.#parts.options.auth ?? 'trust'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.keeper.release();
  }

  #settings(): Record<string, string> {
    const { port, socketDir, options } = this.#parts;
    return {
      listen_addresses: options.listenPort === undefined ? '' : '127.0.0.1',
      port: String(port),
      unix_socket_directories: socketDir,
      // Nobody needs these data after a power failure.
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
      ...options.settings,
    };
  }

  #uri(host: string, database: string, user: string): string {
    const port = this.port === DEFAULT_PORT ? '' : `:${this.port}`;
    return `postgresql://${encodeURIComponent(user)}@${host}${port}/${encodeURIComponent(database)}`;
  }

  async #asOwner(program: string, args: readonly string[]): Promise<void> {
    const { owner, dir } = this.#parts;
    const [command = '', ...rest] = [...owner.prefix, program, ...args];
    await execFileAsync(command, rest, { cwd: dir, env: cleanEnv() });
  }
}

/** The template, for the one who asks first. */
function takeTemplate(): string | undefined {
  const template = process.env[CLUSTER_TEMPLATE];
  delete process.env[CLUSTER_TEMPLATE];
  return template;
}

/** Runs `psql -X -q -At` until the first error; what it printed without the last newline. */
export async function runPsql(binDir: string, url: string, sql: string): Promise<string> {
  const besideServer = join(binDir, 'psql');
  const program = isExecutable(besideServer) ? besideServer : 'psql';
  const running = execFileAsync(program, ['-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-d', url], {
    env: { ...cleanEnv(), PGCLIENTENCODING: 'UTF8' },
    maxBuffer: OUTPUT_MAX_BYTES,
  });
  // A psql that stops at an error does not read on; its exit status says why.
  running.child.stdin?.on('error', () => undefined).end(sql);
  const { stdout } = await running;
  return stdout.replace(/\n$/, '');
}

/** Makes the data and socket directories; returns the latter, which lies elsewhere when `dir` is too long. */
async function makeDirs(dir: string, owner: ServerOwner, keeper: Keeper): Promise<string> {
  const fits = Buffer.byteLength(join(dir, 's', '.s.PGSQL.65535')) <= SOCKET_PATH_MAX_BYTES;
  const socketDir = fits ? join(dir, 's') : await mkdtemp(join(shortTemporaryDir(), 'cofre-s-'));
  if (!fits) keeper.alsoRemove(socketDir);
  const dataDir = join(dir, 'data');
  await Promise.all([mkdir(dataDir, { mode: 0o700 }), mkdir(socketDir, { recursive: true })]);
  await Promise.all([dir, dataDir, socketDir].map((path) => chmod(path, 0o700)));
  const { ids } = owner;
  if (ids !== undefined) {
    await Promise.all([dir, dataDir, socketDir].map((path) => chown(path, ids.uid, ids.gid)));
    await assertReachable(dir, owner);
  }
  return socketDir;
}

/** /tmp where it can be used: os.tmpdir() is long on macOS, and private to root under pam_tmpdir. */
function shortTemporaryDir(): string {
  return isExecutable('/tmp') ? '/tmp' : tmpdir();
}

async function utf8Locale(): Promise<string> {
  const listed = await execFileAsync('locale', ['-a']).then(
    ({ stdout }) => stdout,
    () => '',
  );
  return /^C\.utf-?8$/im.test(listed) ? 'C.UTF-8' : 'C';
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

function settingsFile(settings: Record<string, string>): string {
  const lines = Object.entries(settings).map(([key, value]) => `${key} = '${value.replaceAll("'", "''")}'`);
  return `\n${lines.join('\n')}\n`;
}

function accessFile(auth: 'trust' | 'scram'): string {
  const method = auth === 'trust' ? 'trust' : 'scram-sha-256';
  return [
    `local all,replication ${SUPERUSER} trust`,
    `local all,replication all ${method}`,
    `host all,replication all 127.0.0.1/32 ${method}`,
    '',
  ].join('\n');
}
