import { BackupError } from '../../domain/errors.ts';
import { describeSome } from '../../domain/plural.ts';
import type { ByteStream } from '../../domain/ports.ts';
import type {
  DatabaseRestoreOptions,
  DatabaseTargetState,
  ScratchDirectory,
} from '../../domain/restore-ports.ts';
import { findTool, type Tool } from '../../postgres/tools.ts';
import { asPlainDump, chooseEntries, entryArguments } from './custom-restore.ts';
import { restorePlain } from './plain-restore.ts';
import { restoreInPhases } from './restore-phases.ts';
import { prepareSession, type RestoreSession } from './restore-session.ts';
import { planSchemas, schemaRemarks, schemaStatements, type SchemaPlan } from './target-schemas.ts';
import { enteredSchemas, withoutSchemas } from './toc-selection.ts';
import { spool } from './spool.ts';
import type { TargetServer } from './target-server.ts';
import { unpackDirectory } from './unpack-directory.ts';

/** Restores into an empty database; returns remarks for people. */
export type Restorer = (database: string) => Promise<string[]>;

export interface RestorerParts {
  server: TargetServer;
  state: DatabaseTargetState;
  raw: ByteStream;
  options: DatabaseRestoreOptions;
  binDir: string | undefined;
  env: NodeJS.ProcessEnv;
  spoolDirectory: () => Promise<ScratchDirectory>;
  applicationName: string;
  /** What is held until the restore is over. */
  stack: AsyncDisposableStack;
  /** Whether an error must come with its SQLSTATE, which psql prints and pg_restore does not. */
  needsStates: boolean;
  /** Whether the database that is restored into is made for the restore. */
  isNew: boolean;
}

/**
 * Everything that can go wrong before a database is made or changed: finds the programs, unpacks an archive that is
 * no plain dump.
 *
 * Throws TOOL_MISSING, SERVER_TOO_NEW, SPACE_LOW, TARGET_REFUSED, RESTORE_FAILED.
 */
export async function openRestorer(parts: RestorerParts, signal: AbortSignal): Promise<Restorer> {
  const { options, raw } = parts;
  switch (options.format) {
    case 'plain': {
      const psql = await findPsql(parts, signal);
      return async (database) => {
        const prepared = await prepare(parts, database, signal);
        const plan = planSchemas(options.dumpSchemas, prepared.schemas);
        return await viaPsql(parts, psql, { database, prepared, plan }, vouched(raw, signal), signal);
      };
    }
    case 'custom':
      return await openArchive(parts, spool, signal);
    case 'directory':
      return await openArchive(parts, unpackDirectory, signal);
    case 'tar':
      throw new BackupError('RESTORE_FAILED', 'an archive of files is not restored into a database', {
        hint: 'Name a directory as the target.',
      });
    default:
      return options.format satisfies never;
  }
}

/** @param unpack writes the archive into a directory; returns the path that pg_restore is told. */
async function openArchive(
  parts: RestorerParts,
  unpack: typeof spool,
  signal: AbortSignal,
): Promise<Restorer> {
  const { server, state, raw, options, binDir, env, applicationName, stack, isNew } = parts;
  const neededBy = `an archive of pg_dump ${options.toolMajor}`;
  const pgRestore = await findTool('pg_restore', options.toolMajor, { binDir, env, signal, neededBy });
  // One that is newer than the server sends it settings it does not know: these are filtered on the way to psql.
  const needsPsql = parts.needsStates || pgRestore.major > state.major;
  const psql = needsPsql ? await findPsql(parts, signal) : undefined;
  const directory = stack.use(await parts.spoolDirectory()).path;
  const file = await unpack(vouched(raw, signal), options.raw_size, directory, signal);
  const childEnv = server.login(state.database, pgRestore.major, applicationName).env;
  const { owners, schemas, tables, dumpSchemas } = options;
  const chosen = await chooseEntries({ pgRestore, file, env: childEnv, schemas, tables }, signal);
  return async (database) => {
    const prepared = await prepare(parts, database, signal);
    const entries = chosen && withoutSchemas(chosen.entries, dumpSchemas, prepared.schemas);
    if (chosen !== undefined && chosen.leftOut.length > 0) {
      prepared.remarks.push(
        `not restored, since it needs more than what was chosen: ${describeSome(chosen.leftOut)}`,
      );
    }
    const plan =
      entries === undefined
        ? planSchemas(dumpSchemas, prepared.schemas)
        : planSchemas({ made: [], used: enteredSchemas(entries, dumpSchemas.used) }, prepared.schemas);
    const args = await entryArguments(file, entries, { owners, directory });
    const place = { database, prepared, plan };
    const statements = schemaStatements(plan);
    // What others use, or began with, is changed in one transaction, which several jobs cannot be.
    const atOnce = !isNew && (statements.length > 0 || state.occupants.length > 0);
    if (psql !== undefined || atOnce) {
      const through = psql ?? (await findPsql(parts, signal));
      return await viaPsql(parts, through, place, asPlainDump(pgRestore, childEnv, args, signal), signal);
    }
    await inDatabase(server, database, statements, signal);
    const login = server.login(database, pgRestore.major, applicationName, prepared.settings);
    await restoreInPhases({ pgRestore, login, jobs: options.jobs, args, directory }, signal);
    return [...prepared.remarks, ...schemaRemarks(plan, isNew)];
  };
}

/** A database as it stands before the restore, and what is done about its schemas. */
interface PreparedPlace {
  database: string;
  prepared: RestoreSession;
  plan: SchemaPlan;
}

async function viaPsql(
  parts: RestorerParts,
  psql: Tool,
  { database, prepared, plan }: PreparedPlace,
  raw: ByteStream,
  signal: AbortSignal,
): Promise<string[]> {
  const { server, options, applicationName, isNew } = parts;
  const { parameters, settings, remarks } = prepared;
  const { owners, singleTransaction } = options;
  const login = server.login(database, psql.major, applicationName);
  const statements = schemaStatements(plan);
  const dropped = await restorePlain(
    raw,
    { psql, login, owners, singleTransaction, parameters, settings, statements },
    signal,
  );
  return [
    ...remarks,
    ...schemaRemarks(plan, isNew),
    ...dropped.map((name) => `the server does not know the parameter ${name}, so it was not set`),
  ];
}

async function inDatabase(
  server: TargetServer,
  database: string,
  statements: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  if (statements.length === 0) return;
  await using session = await server.open(database, signal);
  await session.query('SET default_transaction_read_only = off');
  for (const statement of statements) await session.query(statement);
}

async function prepare(
  { server, options, isNew }: RestorerParts,
  database: string,
  signal: AbortSignal,
): Promise<RestoreSession> {
  await using session = await server.open(database, signal);
  return await prepareSession(session, { locale: options.locale, isNew });
}

/** One as new as the server where there is one, else any: psql sends what it is given to a server of any version. */
async function findPsql({ state, binDir, env }: RestorerParts, signal: AbortSignal): Promise<Tool> {
  try {
    return await findTool('psql', state.major, { binDir, env, signal });
  } catch (error) {
    if (!(error instanceof BackupError) || error.code !== 'SERVER_TOO_NEW') throw error;
    return await findTool('psql', 0, { binDir, env, signal });
  }
}

/** The archive, whose faults are told from those of the restore. */
async function* vouched(raw: ByteStream, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* raw;
  } catch (error) {
    signal.throwIfAborted();
    const { message } = error as Error;
    const hint = error instanceof BackupError ? error.hint : undefined;
    throw new BackupError('RESTORE_FAILED', `reading the archive failed: ${message}`, {
      hint,
      cause: error,
    });
  }
}
