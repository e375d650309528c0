import { BackupError } from '../../domain/errors.ts';
import type { ByteStream, Capture, CaptureFacts, Finding, Source } from '../../domain/ports.ts';
import { childOutput } from '../../lib/child.ts';
import { takeAdvisoryLock } from './advisory-lock.ts';
import { connect } from '../../postgres/connect.ts';
import { queryError } from '../../postgres/connect-errors.ts';
import { type ConnectionParams, resolveConnection } from '../../postgres/connection-params.ts';
import { readDatabaseLocale } from '../../postgres/database-locale.ts';
import { connectionString } from '../../postgres/libpq-program.ts';
import { readDirectoryDump, type Staging } from './directory-dump.ts';
import { dumpEnvironment, dumpParams } from './dump-session.ts';
import { type DumpFormat, dumpArguments, dumpError } from './pg-dump.ts';
import { runPreflight } from './preflight.ts';
import type { Filters } from './selection.ts';
import { readServerFacts } from '../../postgres/server-facts.ts';
import type { Session } from '../../postgres/session.ts';
import { findTool, type Tool } from '../../postgres/tools.ts';
import { assertUri } from './uri.ts';

export interface PostgresSourceOptions {
  name: string;
  /** A connection URI with its secrets resolved. Never shown. */
  url: string;
  format: DumpFormat;
  /** Connections that dump at once, in the directory format. Default: 1. */
  dumpJobs?: number;
  /** Of the directory format, which needs it. */
  staging?: Staging;
  /** Patterns of pg_dump: psql's, see https://www.postgresql.org/docs/current/app-psql.html#APP-PSQL-PATTERNS */
  include?: { schemas?: readonly string[]; tables?: readonly string[] };
  exclude?: { schemas?: readonly string[]; tables?: readonly string[] };
  /** How long pg_dump waits for the lock of a table. */
  lockWaitTimeout_ms: number;
  /** Where PostgreSQL's programs are; found when absent. */
  binDir?: string;
  /** Holds an advisory lock while dumping, in a session of its own: not through a transaction pooler. */
  exclusive: boolean;
  /** What libpq's variables, PATH and HOME are taken from. Default: that of this process. */
  env?: NodeJS.ProcessEnv;
}

/** One database, read by pg_dump. */
export class PostgresSource implements Source {
  readonly name: string;
  readonly type = 'database';
  readonly format: DumpFormat;
  // Private, so that no inspection of this object shows the URL.
  readonly #options: PostgresSourceOptions;
  readonly #filters: Filters;
  readonly #env: NodeJS.ProcessEnv;

  /** Throws CONFIG_INVALID, without a part of it, when the URI is malformed. */
  constructor(options: PostgresSourceOptions) {
    this.name = options.name;
    this.format = options.format;
    assertUri(options.name, options.url);
    this.#options = options;
    this.#filters = { include: options.include ?? {}, exclude: options.exclude ?? {} };
    this.#env = options.env ?? process.env;
  }

  async preflight(signal: AbortSignal): Promise<Finding[]> {
    const { url, binDir, staging } = this.#options;
    return await runPreflight(
      {
        source: this.name,
        url,
        format: this.format,
        filters: this.#filters,
        binDir,
        env: this.#env,
        staging,
      },
      signal,
    );
  }

  /**
   * Throws SERVER_UNREACHABLE, SERVER_AUTH, SERVER_TOO_NEW, SERVER_BUSY, TOOL_MISSING or CONFIG_INVALID.
   * The stream throws these as well, and UNREADABLE, SOURCE_MISSING, LOCK_LOST and TOOL_FAILED; in the directory format
   * DISK_FULL, DUMP_EMPTY and IO_FAILED too.
   */
  async capture(signal: AbortSignal): Promise<Capture> {
    const params = await resolveConnection(this.#options.url, this.#env);
    const session = await connect(params, this.#env, signal);
    try {
      const { facts, tools } = await this.#prepare(session, signal);
      const ofDump = await dumpParams(session, params);
      const held = this.#options.exclusive ? session : undefined;
      if (held === undefined) await session[Symbol.asyncDispose]();
      return {
        facts,
        stream: this.#stream(ofDump, session, held, tools, signal),
        remarks: () => ({ changed: [], incomplete: [] }),
      };
    } catch (error) {
      await session[Symbol.asyncDispose]();
      signal.throwIfAborted();
      if (error instanceof BackupError) throw error;
      throw queryError(error, session.target);
    }
  }

  async #prepare(session: Session, signal: AbortSignal): Promise<{ facts: CaptureFacts; tools: Tools }> {
    const { binDir, exclusive } = this.#options;
    const { version, major, database, systemIdentifier } = await readServerFacts(session);
    const neededBy = `PostgreSQL ${version}`;
    const tool = await findTool('pg_dump', major, { binDir, env: this.#env, signal, neededBy });
    const pgRestore =
      this.format === 'directory'
        ? await findTool('pg_restore', tool.major, { binDir, env: this.#env, signal, neededBy })
        : undefined;
    const locale = await readDatabaseLocale(session);
    if (exclusive) await takeAdvisoryLock(session, this.name, database, major);
    const facts: CaptureFacts = {
      database,
      server_version: version,
      tool_version: tool.version,
      ...(systemIdentifier === undefined ? {} : { system_identifier: systemIdentifier }),
      ...(locale === undefined ? {} : { locale }),
    };
    return { facts, tools: { pgDump: tool, pgRestore } };
  }

  /** A stream that also lets go of the lock when it is given up before its first byte was asked for. */
  #stream(
    params: ConnectionParams,
    { target, password }: Session,
    held: Session | undefined,
    { pgDump, pgRestore }: Tools,
    signal: AbortSignal,
  ): ByteStream {
    const args = dumpArguments({
      connectionString: connectionString(params, target, pgDump.major),
      format: this.format,
      filters: this.#filters,
      lockWaitTimeout_ms: this.#options.lockWaitTimeout_ms,
      jobs: this.#options.dumpJobs ?? 1,
    });
    const env = dumpEnvironment(this.#env, password);
    const { staging } = this.#options;
    const open: OpenDump = (stop, onReceived) => {
      if (pgRestore === undefined) {
        return childOutput({ command: pgDump.path, args, env, signal: stop, label: 'pg_dump' });
      }
      if (staging === undefined) throw new Error('a dump in the directory format has no place to be staged');
      const top = `${this.name}.dir`;
      return readDirectoryDump({ pgDump, pgRestore, args, env, staging, top, signal: stop, onReceived });
    };
    const dump = readDump({ open, held, source: this.name, signal });
    return {
      [Symbol.asyncIterator]: () => ({
        next: async () => await dump.next(),
        return: async () => {
          const result = await dump.return();
          await held?.[Symbol.asyncDispose]();
          return result;
        },
      }),
    };
  }
}

interface Tools {
  pgDump: Tool;
  /** For the directory format. */
  pgRestore: Tool | undefined;
}

/** @param onReceived to be called when data have arrived without any chunk of the stream. */
type OpenDump = (signal: AbortSignal, onReceived: () => void) => ByteStream;

interface DumpOptions {
  open: OpenDump;
  /** The session with the advisory lock. */
  held: Session | undefined;
  source: string;
  signal: AbortSignal;
}

async function* readDump(options: DumpOptions): AsyncGenerator<Buffer, void, undefined> {
  const { open, held, source } = options;
  await using _released = held;
  const lost = held?.lost;
  const signal = lost === undefined ? options.signal : AbortSignal.any([options.signal, lost]);
  let received = false;
  try {
    const onReceived = () => {
      received = true;
    };
    for await (const chunk of open(signal, onReceived)) {
      received = true;
      yield chunk;
    }
    signal.throwIfAborted();
  } catch (error) {
    options.signal.throwIfAborted();
    if (lost?.aborted === true) {
      throw new BackupError('LOCK_LOST', `the session with the advisory lock of source ${source} ended`, {
        hint: 'Look at the log of the server for why it ended the session; `exclusive` does not work through a transaction pooler.',
        cause: lost.reason,
      });
    }
    throw error instanceof BackupError ? dumpError(error, received) : error;
  }
}
