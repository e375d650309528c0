import { BackupError } from '../../domain/errors.ts';
import type { ByteStream } from '../../domain/ports.ts';
import type {
  DatabaseRestoreOptions,
  DatabaseTargetState,
  ScratchDirectory,
} from '../../domain/restore-ports.ts';
import { findTool, type Tool } from '../../postgres/tools.ts';
import { asPlainDump, entryArguments } from './custom-restore.ts';
import { restorePlain } from './plain-restore.ts';
import { restoreInPhases } from './restore-phases.ts';
import { prepareSession, type RestoreSession } from './restore-session.ts';
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
      return async (database) => await viaPsql(parts, psql, database, vouched(raw, signal), signal);
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
  const { server, state, raw, options, binDir, env, applicationName, stack } = parts;
  const neededBy = `an archive of pg_dump ${options.toolMajor}`;
  const pgRestore = await findTool('pg_restore', options.toolMajor, { binDir, env, signal, neededBy });
  // One that is newer than the server sends it settings it does not know: these are filtered on the way to psql.
  const needsPsql = parts.needsStates || pgRestore.major > state.major;
  const psql = needsPsql ? await findPsql(parts, signal) : undefined;
  const directory = stack.use(await parts.spoolDirectory()).path;
  const file = await unpack(vouched(raw, signal), options.raw_size, directory, signal);
  const childEnv = server.login(state.database, pgRestore.major, applicationName).env;
  const { owners, schemas, tables } = options;
  const args = await entryArguments(
    { pgRestore, file, directory, env: childEnv, owners, schemas, tables },
    signal,
  );
  return async (database) => {
    if (psql !== undefined) {
      return await viaPsql(parts, psql, database, asPlainDump(pgRestore, childEnv, args, signal), signal);
    }
    const { settings, remarks } = await prepare(parts, database, signal);
    const login = server.login(database, pgRestore.major, applicationName, settings);
    await restoreInPhases({ pgRestore, login, jobs: options.jobs, args, directory }, signal);
    return remarks;
  };
}

async function viaPsql(
  parts: RestorerParts,
  psql: Tool,
  database: string,
  raw: ByteStream,
  signal: AbortSignal,
): Promise<string[]> {
  const { server, options, applicationName } = parts;
  const { parameters, settings, remarks } = await prepare(parts, database, signal);
  const { owners, singleTransaction } = options;
  const login = server.login(database, psql.major, applicationName);
  const dropped = await restorePlain(
    raw,
    { psql, login, owners, singleTransaction, parameters, settings },
    signal,
  );
  return [
    ...remarks,
    ...dropped.map((name) => `the server does not know the parameter ${name}, so it was not set`),
  ];
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
