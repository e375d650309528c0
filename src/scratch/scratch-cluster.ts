import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BackupError } from '../domain/errors.ts';
import type { ScratchDirectory } from '../domain/restore-ports.ts';
import { NEVER, sleep, withDeadline } from '../lib/abort.ts';
import { type Child, runChild, startChild } from '../lib/child.ts';
import { connect } from '../postgres/connect.ts';
import { resolveConnection } from '../postgres/connection-params.ts';
import { readServerFacts } from '../postgres/server-facts.ts';
import type { Session } from '../postgres/session.ts';
import { clusterSettings } from './cluster-settings.ts';
import { notProvable, SPACE_HINT } from './not-provable.ts';
import { letGroupThrough, makeScratchDirectory, SHORT_PARENT } from './scratch-directory.ts';
import { endServersIn } from './server-processes.ts';
import type { ServerPrograms } from './server-programs.ts';
import { findServerUser, type ServerUser, succeeds } from './server-user.ts';

/** What most dumps have as an owner. */
const SUPERUSER = 'postgres';
/** `sun_path` holds 108 bytes with its closing NUL on Linux, fewer elsewhere. */
const SOCKET_PATH_MAX_BYTES = 103;
const SOCKET_NAME = '.s.PGSQL.5432';
/** Recovery is not needed: a server that is not up by now never will be. */
const START_TIMEOUT_MS = 60_000;
const POLL_MS = 20;
/** A postmaster kills what does not end on SIGQUIT within five seconds. */
const STOP_GRACE_MS = 7_000;
/** What the server programs get of our environment, which may hold secrets. */
const PASSED_ON = ['PATH', 'TZ', 'TZDIR', 'LD_LIBRARY_PATH', 'LOCPATH', 'ICU_DATA'];

export interface ScratchClusterOptions {
  programs: ServerPrograms;
  directory: ScratchDirectory;
  signal: AbortSignal;
}

/** A PostgreSQL server that runs for as long as it is not disposed of, and no longer than this process. */
export class ScratchCluster implements AsyncDisposable {
  /** As the server writes it. */
  version = '';
  major = 0;
  readonly #directory: ScratchDirectory;
  readonly #user: ServerUser;
  readonly #socketDirectory: string;
  readonly #server: Child;
  readonly #resources: AsyncDisposableStack;
  #tablespaces = 0;
  #ended = false;

  private constructor(parts: Parts, server: Child) {
    this.#directory = parts.directory;
    this.#user = parts.user;
    this.#socketDirectory = parts.socketDirectory;
    this.#resources = parts.resources;
    this.#server = server;
    const ended = () => {
      this.#ended = true;
    };
    server.exited.then(ended, ended);
    server.stdout.resume();
  }

  /**
   * A fresh cluster in the directory, with the locale C, up and listening on a socket. Whatever stops it, no
   * process is left. Throws NOT_PROVABLE with what initdb or the server said, or the reason of the abort.
   */
  static async start({ programs, directory, signal }: ScratchClusterOptions): Promise<ScratchCluster> {
    await using resources = new AsyncDisposableStack();
    const user = await findServerUser(signal);
    const socketDirectory = await makeDirectories(directory, user, resources, signal);
    const parts = { programs, directory, user, socketDirectory, resources };
    await initialise(parts, signal);
    const settings = Object.entries(clusterSettings(socketDirectory));
    const args = settings.flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const server = await startChild({
      ...commandOf(parts, 'postgres', ['-D', join(directory.path, 'data'), ...args]),
      // SIGTERM would wait for the sessions to end; `stop` knows the signal that does not.
      signal: NEVER,
    });
    const cluster = new ScratchCluster({ ...parts, resources: resources.move() }, server);
    try {
      await cluster.#awaitReadiness(signal);
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A URI of a superuser. */
  urlOf(database: string): string {
    return `postgresql://${SUPERUSER}@${encodeURIComponent(this.#socketDirectory)}/${encodeURIComponent(database)}`;
  }

  async connect(database: string, signal: AbortSignal): Promise<Session> {
    // Variables such as PGHOSTADDR or PGOPTIONS are meant for other servers.
    const env = { HOME: '/nonexistent' };
    return await connect(await resolveConnection(this.urlOf(database), env), env, signal);
  }

  /** What the server last said, once it has ended without having been told to. */
  lastWords(): string | undefined {
    return this.#ended ? this.#server.stderrTail() : undefined;
  }

  /** An empty directory that the server may keep a tablespace in. */
  async makeTablespaceDirectory(): Promise<string> {
    this.#tablespaces += 1;
    const path = join(this.#directory.path, `tablespace-${this.#tablespaces}`);
    await makeServerDirectory(path, this.#user);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#ended) {
      quit(this.#server.pid);
      await Promise.race([this.#server.exited, delay(STOP_GRACE_MS, undefined, { ref: false })]);
    }
    // Of a postmaster that was killed some backends may still be busy, and hold on to what is to be removed.
    await endServersIn(this.#directory.path);
    await this.#server.exited;
    await this.#resources.disposeAsync();
  }

  async #awaitReadiness(signal: AbortSignal): Promise<void> {
    using deadline = withDeadline(signal, START_TIMEOUT_MS, 'the start of the scratch cluster');
    for (;;) {
      try {
        await using session = await this.connect('postgres', deadline.signal);
        const { version, major } = await readServerFacts(session);
        this.version = version;
        this.major = major;
        return;
      } catch (error) {
        deadline.signal.throwIfAborted();
        if (!(error instanceof BackupError) || error.code !== 'SERVER_UNREACHABLE') throw error;
      }
      if (this.#ended) throw failed('the scratch cluster did not start', this.#server.stderrTail());
      await sleep(POLL_MS, deadline.signal);
    }
  }
}

function quit(pid: number): void {
  try {
    process.kill(pid, 'SIGQUIT');
  } catch {
    // It has ended, and only its backends still hold the pipes.
  }
}

interface Parts {
  programs: ServerPrograms;
  directory: ScratchDirectory;
  user: ServerUser;
  socketDirectory: string;
  resources: AsyncDisposableStack;
}

async function initialise(parts: Parts, signal: AbortSignal): Promise<void> {
  const { programs, directory } = parts;
  const args = [
    `--pgdata=${join(directory.path, 'data')}`,
    `--username=${SUPERUSER}`,
    '--encoding=UTF8',
    '--locale=C',
    '--auth-local=trust',
    '--auth-host=reject',
    '--no-sync',
    '--no-instructions',
    ...(programs.major >= 18 ? ['--no-data-checksums'] : []),
  ];
  const naming = await nameFor(parts);
  const command = commandOf(parts, 'initdb', args);
  const { code, stderr } = await runChild({ ...command, env: { ...command.env, ...naming }, signal });
  if (code !== 0) throw failed('initdb failed', stderr);
}

/** What makes initdb find a name for a user id that has none. */
async function nameFor({ user, directory }: Parts): Promise<NodeJS.ProcessEnv> {
  if (user.nameLibrary === undefined) return {};
  const passwd = join(directory.path, 'passwd');
  const group = join(directory.path, 'group');
  await writeFile(passwd, `cofre:x:${process.geteuid?.()}:${process.getegid?.()}:cofre:/:/bin/false\n`);
  await writeFile(group, `cofre:x:${process.getegid?.()}:\n`);
  return { LD_PRELOAD: user.nameLibrary, NSS_WRAPPER_PASSWD: passwd, NSS_WRAPPER_GROUP: group };
}

function commandOf({ programs, directory, user }: Parts, program: string, args: readonly string[]) {
  const [command = '', ...rest] = [...user.prefix, join(programs.directory, program), ...args];
  const env: NodeJS.ProcessEnv = { LC_ALL: 'C' };
  for (const name of PASSED_ON) if (process.env[name] !== undefined) env[name] = process.env[name];
  return { command, args: rest, env, cwd: directory.path, label: program };
}

function failed(what: string, said: string): BackupError {
  const hint = /No space left on device|Disk quota exceeded/.test(said)
    ? SPACE_HINT
    : 'What is missing stands in the message of the program; scratch.directory names another place for it.';
  return notProvable(`${what}: ${said === '' ? 'it said nothing' : said}`, hint);
}

/** Makes the directories that the server's user writes to; returns that of the socket. */
async function makeDirectories(
  directory: ScratchDirectory,
  user: ServerUser,
  resources: AsyncDisposableStack,
  signal: AbortSignal,
): Promise<string> {
  // libpq takes a comma for the end of a host, and so does the server.
  const fits =
    !directory.path.includes(',') &&
    Buffer.byteLength(join(directory.path, 's', SOCKET_NAME)) <= SOCKET_PATH_MAX_BYTES;
  const around = fits ? directory : resources.use(await makeScratchDirectory(SHORT_PARENT, signal));
  const socketDirectory = join(around.path, 's');
  const { ids } = user;
  if (ids !== undefined) {
    await letGroupThrough(directory, ids.gid);
    if (!fits) await letGroupThrough(around, ids.gid);
  }
  await makeServerDirectory(join(directory.path, 'data'), user);
  await makeServerDirectory(socketDirectory, user);
  if (!(await succeeds([...user.prefix, 'test', '-w', join(directory.path, 'data')], signal))) {
    throw notProvable(
      `the user that runs the scratch cluster cannot reach ${directory.path}`,
      'Let others pass through the directories above (chmod o+x), or name another one as scratch.directory.',
    );
  }
  return socketDirectory;
}

async function makeServerDirectory(path: string, { ids }: ServerUser): Promise<void> {
  await mkdir(path, { mode: 0o700 });
  if (ids !== undefined) await chown(path, ids.uid, ids.gid);
}
