import { BackupError } from '../../domain/errors.ts';
import { connect } from '../../postgres/connect.ts';
import { queryError } from '../../postgres/connect-errors.ts';
import {
  type ConnectionParams,
  describeTarget,
  resolveConnection,
  type Target,
} from '../../postgres/connection-params.ts';
import { connectionString, programEnvironment, withSettings } from '../../postgres/libpq-program.ts';
import type { Session } from '../../postgres/session.ts';
import { sqlState } from '../../postgres/sql-state.ts';

/** Databases that nearly every server has, for what cannot be done from within the one that is restored. */
const MAINTENANCE_DATABASES = ['postgres', 'template1'];
/** SQLSTATE: no such database. */
const NO_DATABASE = '3D000';
/** What puts a target in order again after an abort may take this long. */
const CLEANUP_MS = 30_000;

/** How one of PostgreSQL's programs logs in: arguments hold no password, the environment may. */
export interface ProgramLogin {
  connectionString: string;
  env: NodeJS.ProcessEnv;
}

/** Sessions at one server: once one has answered, all others lead to the same. */
export class TargetServer {
  /** That the URI names. */
  readonly database: string;
  readonly #params: ConnectionParams;
  readonly #env: NodeJS.ProcessEnv;
  #chosen: Target | undefined;
  #password: string | undefined;

  private constructor(params: ConnectionParams, env: NodeJS.ProcessEnv) {
    this.#params = params;
    this.#env = env;
    this.database = params.database;
  }

  /** Throws CONFIG_INVALID. Connects to nothing yet. */
  static async resolve(url: string, env: NodeJS.ProcessEnv): Promise<TargetServer> {
    return new TargetServer(await resolveConnection(url, env), env);
  }

  get user(): string {
    return this.#params.user;
  }

  /** For messages: `shop at db.example.org:5432`. */
  describe(database: string = this.database): string {
    const target = this.#chosen ?? this.#params.targets[0];
    return target === undefined ? database : `${database} at ${describeTarget(target)}`;
  }

  /** Throws what `connect` throws. */
  async open(database: string, signal: AbortSignal): Promise<Session> {
    const session = await connect(this.#paramsOf(database), this.#env, signal);
    this.#chosen = session.target;
    this.#password = session.password;
    return session;
  }

  /** Undefined when the server answers that there is no such database. */
  async openIfExists(database: string, signal: AbortSignal): Promise<Session | undefined> {
    try {
      return await this.open(database, signal);
    } catch (error) {
      if (isMissingDatabase(error)) return undefined;
      throw error;
    }
  }

  /** A session in a database other than the one given. Throws what connecting to the last one tried throws. */
  async openBeside(database: string, signal: AbortSignal): Promise<Session> {
    let last: unknown;
    for (const name of MAINTENANCE_DATABASES) {
      if (name === database) continue;
      try {
        return await writable(await this.open(name, signal));
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof BackupError) || error.code !== 'SERVER_AUTH') throw error;
        last = error;
      }
    }
    throw last;
  }

  /** Does something beside the database that must also be done after an abort, in bounded time. */
  async cleanUp<T>(database: string, work: (session: Session) => Promise<T>): Promise<T> {
    await using session = await this.openBeside(database, AbortSignal.timeout(CLEANUP_MS));
    return await work(session);
  }

  /** The same over a session in the database. */
  async cleanUpIn<T>(database: string, work: (session: Session) => Promise<T>): Promise<T> {
    await using session = await this.open(database, AbortSignal.timeout(CLEANUP_MS));
    return await work(session);
  }

  /**
   * For a program of that major version, after a session was opened.
   * @param applicationName tells its sessions from all others.
   * @param settings that its sessions begin with; where there are any, not through some poolers.
   */
  login(
    database: string,
    major: number,
    applicationName: string,
    settings: ReadonlyMap<string, string> = new Map(),
  ): ProgramLogin {
    const params = { ...withSettings(this.#paramsOf(database), settings), applicationName };
    const target = this.#chosen;
    if (target === undefined) throw new RangeError('no session was opened before a program is started');
    return {
      connectionString: connectionString(params, target, major),
      env: programEnvironment(this.#env, this.#password),
    };
  }

  /** What a query threw, as a BackupError. */
  queryError(error: unknown, session: Session): BackupError {
    return error instanceof BackupError ? error : queryError(error, session.target);
  }

  #paramsOf(database: string): ConnectionParams {
    const chosen = this.#chosen;
    return {
      ...this.#params,
      database,
      ...(chosen === undefined ? {} : { targets: [chosen], sessionAttrs: 'any', shuffle: false }),
    };
  }
}

/** To make and drop databases, as was asked for, whatever is set for the role or the server. */
async function writable(session: Session): Promise<Session> {
  try {
    const [row] = await session.query<{ setting: string }>(
      "SELECT pg_catalog.current_setting('default_transaction_read_only') AS setting",
    );
    if (row?.setting === 'on') await session.query('SET default_transaction_read_only = off');
    return session;
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

function isMissingDatabase(error: unknown): boolean {
  return error instanceof BackupError && sqlState(error.cause) === NO_DATABASE;
}
