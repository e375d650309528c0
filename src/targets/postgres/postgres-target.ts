import { randomBytes } from 'node:crypto';
import type { DumpNeeds } from '../../domain/dump-survey.ts';
import type { BackupError } from '../../domain/errors.ts';
import type { TableContents } from '../../domain/manifest.ts';
import type { ByteStream } from '../../domain/ports.ts';
import type {
  DatabaseRestoreOptions,
  DatabaseTarget,
  DatabaseTargetState,
  GlobalsResult,
  Lacking,
  ScratchDirectory,
} from '../../domain/restore-ports.ts';
import { refuseUnfitDatabase } from '../../domain/target-refusals.ts';
import { readServerFacts } from '../../postgres/server-facts.ts';
import type { Session } from '../../postgres/session.ts';
import { countTableRows, namesTaken } from './count-rows.ts';
import { applyGlobals } from './globals.ts';
import { findLacking } from './lacking.ts';
import { findOccupants } from './occupants.ts';
import { CreatedPlace, ExistingPlace, type Place, SharedPlace } from './place.ts';
import { PlainRestoreError } from './plain-restore.ts';
import { ReplacementPlace } from './replacement.ts';
import { restoreError } from './restore-errors.ts';
import { openRestorer, type Restorer } from './restorer.ts';
import { TargetServer } from './target-server.ts';

export interface PostgresTargetOptions {
  /** A connection URI with its secrets resolved. Never shown. */
  url: string;
  /** Where PostgreSQL's programs are; found when absent. */
  binDir?: string | undefined;
  /** What libpq's variables, PATH and HOME are taken from. Default: that of this process. */
  env?: NodeJS.ProcessEnv | undefined;
  /** Made when an archive that is no plain dump is restored, and disposed of behind it. */
  spoolDirectory: () => Promise<ScratchDirectory>;
  /** It is a drill: what this server lacks is NOT_PROVABLE instead of RESTORE_FAILED. Default: false. */
  scratch?: boolean;
  /** Of a throwaway server: makes the directory of a tablespace, which the archive names on another machine. */
  tablespaceDirectory?: (() => Promise<string>) | undefined;
}

/** A database that an archive is restored into by psql or pg_restore. */
export class PostgresTarget implements DatabaseTarget {
  // Private, so that no inspection of this object shows the URL.
  readonly #options: PostgresTargetOptions;
  readonly #env: NodeJS.ProcessEnv;

  constructor(options: PostgresTargetOptions) {
    this.#options = options;
    this.#env = options.env ?? process.env;
  }

  async describe(): Promise<string> {
    return (await this.#server()).describe();
  }

  async look(signal: AbortSignal): Promise<DatabaseTargetState> {
    return (await lookAt(await this.#server(), signal)).state;
  }

  async restore(raw: ByteStream, options: DatabaseRestoreOptions, signal: AbortSignal): Promise<string[]> {
    const server = await this.#server();
    const { state, superuser } = await lookAt(server, signal);
    refuseUnfitDatabase(state, options);
    const { binDir, spoolDirectory, scratch = false } = this.#options;
    const failure = (error: unknown, left: string): BackupError =>
      restoreError(signal.aborted ? signal.reason : error, { state: left, scratch, superuser });
    const applicationName = `cofre restore ${randomBytes(6).toString('hex')}`;
    await using stack = new AsyncDisposableStack();
    let restorer: Restorer;
    let place: Place;
    try {
      restorer = await openRestorer(
        {
          server,
          state,
          raw,
          options,
          binDir,
          env: this.#env,
          spoolDirectory,
          applicationName,
          stack,
          needsStates: scratch && !superuser,
          isNew: scratch || !state.exists || options.clean,
        },
        signal,
      );
      place = await makePlace(server, state, options, signal);
    } catch (error) {
      throw failure(error, 'nothing was changed');
    }
    try {
      const remarks = await restorer(place.database);
      await place.finish(signal);
      return [...remarks, ...place.remarks];
    } catch (error) {
      const ofPlain = error instanceof PlainRestoreError ? error : undefined;
      const aftermath = await place.abandon(applicationName, ofPlain?.committing ?? false);
      throw failure(ofPlain?.cause ?? error, aftermath);
    }
  }

  /** Throws RESTORE_FAILED or ARCHIVE_UNSAFE, or what connecting throws. */
  async applyGlobals(raw: ByteStream, signal: AbortSignal): Promise<GlobalsResult> {
    const server = await this.#server();
    await using session = await openAny(server, signal);
    const { major } = await readServerFacts(session);
    const { tablespaceDirectory, scratch = false } = this.#options;
    return await applyGlobals(raw, session, { major, tablespaceDirectory, scratch }, signal);
  }

  async lacking(needs: DumpNeeds, signal: AbortSignal): Promise<Lacking> {
    const server = await this.#server();
    await using session = await openAny(server, signal);
    try {
      return await findLacking(session, needs);
    } catch (error) {
      signal.throwIfAborted();
      throw server.queryError(error, session);
    }
  }

  async existing<T extends Pick<TableContents, 'schema' | 'name'>>(
    tables: readonly T[],
    signal: AbortSignal,
  ): Promise<T[]> {
    const server = await this.#server();
    await using session = await server.open(server.database, signal);
    try {
      const taken = await namesTaken(session, tables);
      return tables.filter((_table, index) => taken.has(index));
    } catch (error) {
      signal.throwIfAborted();
      throw server.queryError(error, session);
    }
  }

  async countRows(
    tables: readonly Pick<TableContents, 'schema' | 'name'>[],
    signal: AbortSignal,
  ): Promise<(number | undefined)[]> {
    const server = await this.#server();
    await using session = await server.open(server.database, signal);
    try {
      return await countTableRows(session, tables);
    } catch (error) {
      signal.throwIfAborted();
      throw server.queryError(error, session);
    }
  }

  async #server(): Promise<TargetServer> {
    return await TargetServer.resolve(this.#options.url, this.#env);
  }
}

/** In the database where it exists, else beside it. */
async function openAny(server: TargetServer, signal: AbortSignal): Promise<Session> {
  return (
    (await server.openIfExists(server.database, signal)) ?? (await server.openBeside(server.database, signal))
  );
}

interface LookedAt {
  state: DatabaseTargetState;
  /** Whether the role may do everything. */
  superuser: boolean;
}

async function lookAt(server: TargetServer, signal: AbortSignal): Promise<LookedAt> {
  const inside = await server.openIfExists(server.database, signal);
  await using session = inside ?? (await server.openBeside(server.database, signal));
  try {
    const { major, database, systemIdentifier } = await readServerFacts(session);
    const name = inside === undefined ? server.database : database;
    const [role] = await session.query<{ superuser: string }>(
      "SELECT pg_catalog.current_setting('is_superuser') AS superuser",
    );
    const state = {
      description: server.describe(name),
      database: name,
      exists: inside !== undefined,
      ...(systemIdentifier === undefined ? {} : { system_identifier: systemIdentifier }),
      major,
      occupants: inside === undefined ? [] : await findOccupants(session, major),
    };
    return { state, superuser: role?.superuser === 'on' };
  } catch (error) {
    signal.throwIfAborted();
    throw server.queryError(error, session);
  }
}

async function makePlace(
  server: TargetServer,
  { database, exists, major, occupants }: DatabaseTargetState,
  { clean, locale }: DatabaseRestoreOptions,
  signal: AbortSignal,
): Promise<Place> {
  if (!exists) return await CreatedPlace.make(server, database, major, locale, signal);
  if (clean) return await ReplacementPlace.make(server, database, major, signal);
  if (occupants.length > 0) return new SharedPlace(server, database);
  return new ExistingPlace(server, database, major);
}
