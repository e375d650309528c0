import { randomBytes } from 'node:crypto';
import { BackupError } from '../../domain/errors.ts';
import type { DumpNeeds } from '../../domain/dump-survey.ts';
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
import { readServerFacts } from '../../postgres/server-facts.ts';
import type { Session } from '../../postgres/session.ts';
import { countTableRows } from './count-rows.ts';
import { applyGlobals } from './globals.ts';
import { findLacking } from './lacking.ts';
import { findOccupants } from './occupants.ts';
import { CreatedPlace, ExistingPlace, type Place } from './place.ts';
import { PlainRestoreError } from './plain-restore.ts';
import { ReplacementPlace } from './replacement.ts';
import { restoreError } from './restore-errors.ts';
import { openRestorer, type Restorer } from './restorer.ts';
import { TargetServer } from './target-server.ts';

const OCCUPANTS_NAMED = 5;

export interface PostgresTargetOptions {
  /** A connection URI with its secrets resolved. Never shown. */
  url: string;
  /** Where PostgreSQL's programs are; found when absent. */
  binDir?: string | undefined;
  /** What libpq's variables, PATH and HOME are taken from. Default: that of this process. */
  env?: NodeJS.ProcessEnv | undefined;
  /** Made when a custom archive is restored, and disposed of behind it. */
  spoolDirectory: () => Promise<ScratchDirectory>;
  /** It is a drill: what this server lacks is NOT_PROVABLE instead of RESTORE_FAILED. Default: false. */
  scratch?: boolean;
}

/** A database that an archive is restored into by psql or pg_restore. */
export class PostgresTarget implements DatabaseTarget {
  // Private, so that no inspection of this object shows the URL.
  readonly #options: PostgresTargetOptions;
  readonly #env: NodeJS.ProcessEnv;
  #remarks: readonly string[] = [];

  constructor(options: PostgresTargetOptions) {
    this.#options = options;
    this.#env = options.env ?? process.env;
  }

  /** For people: how what the last restore made differs from what was wanted; complete once it has ended. */
  get remarks(): readonly string[] {
    return this.#remarks;
  }

  async describe(): Promise<string> {
    return (await this.#server()).describe();
  }

  async look(signal: AbortSignal): Promise<DatabaseTargetState> {
    return await lookAt(await this.#server(), signal);
  }

  async restore(raw: ByteStream, options: DatabaseRestoreOptions, signal: AbortSignal): Promise<void> {
    const server = await this.#server();
    const state = await lookAt(server, signal);
    assertWanted(state, options);
    const { binDir, spoolDirectory, scratch = false } = this.#options;
    const applicationName = `cofre restore ${randomBytes(6).toString('hex')}`;
    const remarks: string[] = [];
    this.#remarks = remarks;
    await using stack = new AsyncDisposableStack();
    let restorer: Restorer;
    let place: Place;
    try {
      restorer = await openRestorer(
        { server, state, raw, options, binDir, env: this.#env, spoolDirectory, applicationName, stack },
        signal,
      );
      place = await makePlace(server, state, options, signal);
    } catch (error) {
      throw restoreError(signal.aborted ? signal.reason : error, 'nothing was changed', scratch);
    }
    try {
      remarks.push(...(await restorer(place.database)));
      await place.finish(signal);
      remarks.push(...place.remarks);
    } catch (error) {
      const ofPlain = error instanceof PlainRestoreError ? error : undefined;
      const aftermath = await place.abandon(applicationName, ofPlain?.committing ?? false);
      throw restoreError(signal.aborted ? signal.reason : (ofPlain?.cause ?? error), aftermath, scratch);
    }
  }

  /** Throws RESTORE_FAILED or ARCHIVE_UNSAFE, or what connecting throws. */
  async applyGlobals(raw: ByteStream, signal: AbortSignal): Promise<GlobalsResult> {
    const server = await this.#server();
    await using session = await openAny(server, signal);
    const { major } = await readServerFacts(session);
    return await applyGlobals(raw, session, major, signal);
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

async function lookAt(server: TargetServer, signal: AbortSignal): Promise<DatabaseTargetState> {
  const inside = await server.openIfExists(server.database, signal);
  await using session = inside ?? (await server.openBeside(server.database, signal));
  try {
    const { version, major, database, systemIdentifier } = await readServerFacts(session);
    const name = inside === undefined ? server.database : database;
    return {
      description: server.describe(name),
      database: name,
      exists: inside !== undefined,
      ...(systemIdentifier === undefined ? {} : { system_identifier: systemIdentifier }),
      server_version: version,
      major,
      occupants: inside === undefined ? [] : await findOccupants(session, major),
    };
  } catch (error) {
    signal.throwIfAborted();
    throw server.queryError(error, session);
  }
}

/** Throws TARGET_REFUSED. */
function assertWanted(state: DatabaseTargetState, { create, clean }: DatabaseRestoreOptions): void {
  const { database, description, exists, occupants } = state;
  if (!exists && !create) {
    throw new BackupError('TARGET_REFUSED', `there is no database ${description}`, {
      hint: '`--create` makes it.',
    });
  }
  if (exists && create && !clean) {
    throw new BackupError('TARGET_REFUSED', `the database "${database}" exists, so it cannot be made`, {
      hint: 'Restore into it without `--create`, which needs it to be empty, or replace it with `--clean`.',
    });
  }
  if (exists && !clean && occupants.length > 0) {
    const named = occupants.slice(0, OCCUPANTS_NAMED).join(', ');
    const more = occupants.length > OCCUPANTS_NAMED ? ', …' : '';
    throw new BackupError('TARGET_REFUSED', `the database ${description} is not empty: ${named}${more}`, {
      hint: 'Restore into another one with `--create`, or replace this one with `--clean`.',
    });
  }
}

async function makePlace(
  server: TargetServer,
  { database, exists, major }: DatabaseTargetState,
  { clean, locale }: DatabaseRestoreOptions,
  signal: AbortSignal,
): Promise<Place> {
  if (!exists) return await CreatedPlace.make(server, database, major, locale, signal);
  if (clean) return await ReplacementPlace.make(server, database, major, signal);
  return new ExistingPlace(server, database, major);
}
