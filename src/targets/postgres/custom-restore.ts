import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toBackupError } from '../../domain/errors.ts';
import type { ByteStream } from '../../domain/ports.ts';
import { assertSucceeded, childOutput, outputText, runChild } from '../../lib/child.ts';
import type { Tool } from '../../postgres/tools.ts';
import { programMessage, ProgramStoppedError } from './restore-errors.ts';
import type { ProgramLogin } from './target-server.ts';
import { selectEntries, type TocEntry, type TocSelection } from './toc-selection.ts';

export interface CustomRestoreOptions {
  pgRestore: Tool;
  /** The archive. */
  file: string;
  env: NodeJS.ProcessEnv;
  schemas: readonly string[];
  tables: readonly string[];
}

/**
 * What of an archive is restored; undefined: all of it. Throws TARGET_REFUSED when nothing of it has one of the
 * names.
 */
export async function chooseEntries(
  options: CustomRestoreOptions,
  signal: AbortSignal,
): Promise<TocSelection | undefined> {
  const { pgRestore, file, env, schemas, tables } = options;
  if (schemas.length === 0 && tables.length === 0) return undefined;
  const list = async (args: readonly string[]): Promise<string> => {
    const command = { command: pgRestore.path, args: ['--list', ...args, file], env, signal };
    return await outputText({ ...command, label: 'pg_restore' });
  };
  return await selectEntries(list, schemas, tables);
}

/**
 * The arguments of pg_restore that say what of an archive is restored.
 * @param directory where a list of the entries may be written.
 */
export async function entryArguments(
  file: string,
  entries: readonly TocEntry[] | undefined,
  { owners, directory }: { owners: boolean; directory: string },
): Promise<string[]> {
  const ownership = owners ? [] : ['--no-owner', '--no-privileges'];
  if (entries === undefined) return [...ownership, file];
  const list = join(directory, 'entries.list');
  const lines = entries.map(({ line }) => `${line}\n`).join('');
  await writeFile(list, lines, { encoding: 'latin1', mode: 0o600 });
  return [...ownership, `--use-list=${list}`, file];
}

/**
 * Restores over several connections at once, or over one in a single transaction. Throws RESTORE_FAILED with the
 * words of pg_restore.
 */
export async function restoreParallel(
  pgRestore: Tool,
  login: ProgramLogin,
  jobs: number,
  args: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { stderr, ...exit } = await runChild({
    command: pgRestore.path,
    args: [
      '--exit-on-error',
      '--no-password',
      ...(jobs > 1 ? [`--jobs=${jobs}`] : ['--single-transaction']),
      `--dbname=${login.connectionString}`,
      ...args,
    ],
    env: login.env,
    signal,
    label: 'pg_restore',
  });
  try {
    assertSucceeded('pg_restore', exit, stderr, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (exit.signal !== null || stderr === '') throw error;
    const { hint } = toBackupError(error);
    const { text } = programMessage(stderr);
    throw new ProgramStoppedError(`pg_restore stopped: ${text}`, undefined, { hint, cause: error });
  }
}

/**
 * The archive as a plain dump: a pg_restore that is newer than the server sends it settings that it does not know,
 * which can be filtered only there.
 */
export function asPlainDump(
  pgRestore: Tool,
  env: NodeJS.ProcessEnv,
  args: readonly string[],
  signal: AbortSignal,
): ByteStream {
  return childOutput({
    command: pgRestore.path,
    args: ['--file=-', ...args],
    env,
    signal,
    label: 'pg_restore',
  });
}
