import { access, constants, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BackupError } from '../domain/errors.ts';
import { findTool, type FindToolOptions, type Tool } from '../postgres/tools.ts';
import { notProvable } from './not-provable.ts';

/** What a drill starts beside the server: all of them, or the ones of another directory have to do. */
const CLIENT_PROGRAMS = ['pg_dump', 'pg_restore', 'psql'];

export interface ServerPrograms {
  /** Holds initdb and postgres. */
  readonly directory: string;
  readonly major: number;
  /** Where the client programs of this version are; undefined: not with the server programs. */
  readonly clients: string | undefined;
}

/**
 * The server programs of the lowest major version that is not below the wanted one, or, where that is not known,
 * of the highest there is. Throws NOT_PROVABLE, naming what to install.
 * @param major 0 when it is not known.
 */
export async function findServerPrograms(
  major: number,
  options: Omit<FindToolOptions, 'neededBy'>,
): Promise<ServerPrograms> {
  const neededBy = major === 0 ? 'the drill' : `a dump of PostgreSQL ${major}`;
  const find = async (name: string, least: number, binDir = options.binDir) =>
    await findTool(name, least, { ...options, binDir, neededBy });
  try {
    const initdb = major === 0 ? await newest(find) : await find('initdb', major);
    const directory = await directoryOf(initdb.path);
    await find('postgres', initdb.major, directory);
    const clients = (await holdsAll(directory, CLIENT_PROGRAMS)) ? directory : undefined;
    // A dump is compared with one of the restored database, which an older pg_dump refuses to make.
    if (clients === undefined) await find('pg_dump', initdb.major);
    return { directory, major: initdb.major, clients };
  } catch (error) {
    options.signal.throwIfAborted();
    if (!isMissing(error)) throw error;
    const install = major === 0 ? 'postgresql' : `postgresql-${major}`;
    throw notProvable(
      error.message,
      `Install the server programs (Debian, Ubuntu: apt-get install ${install}), name their directory with binDir, or name a server for drills as scratch.url.`,
      error,
    );
  }
}

async function newest(find: (name: string, least: number) => Promise<Tool>): Promise<Tool> {
  let tool = await find('initdb', 0);
  for (;;) {
    const newer = await find('initdb', tool.major + 1).catch(onlyMissing);
    if (newer === undefined) return tool;
    tool = newer;
  }
}

/** A program may be a link into the directory where it lies with all the others. */
async function directoryOf(initdb: string): Promise<string> {
  const real = dirname(await realpath(initdb));
  if (await holdsAll(real, ['postgres', ...CLIENT_PROGRAMS])) return real;
  return (await holdsAll(dirname(initdb), ['postgres'])) ? dirname(initdb) : real;
}

async function holdsAll(directory: string, programs: readonly string[]): Promise<boolean> {
  const found = programs.map(async (name) => await access(join(directory, name), constants.X_OK));
  return await Promise.all(found).then(
    () => true,
    () => false,
  );
}

function onlyMissing(error: unknown): undefined {
  if (!isMissing(error)) throw error;
}

function isMissing(error: unknown): error is BackupError {
  return error instanceof BackupError && (error.code === 'TOOL_MISSING' || error.code === 'SERVER_TOO_NEW');
}
