import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toBackupError } from '../../domain/errors.ts';
import type { ByteStream } from '../../domain/ports.ts';
import { assertSucceeded, childOutput, runChild } from '../../lib/child.ts';
import type { Tool } from '../../postgres/tools.ts';
import { programMessage, ProgramStoppedError } from './restore-errors.ts';
import type { ProgramLogin } from './target-server.ts';
import { selectEntries } from './toc-selection.ts';

export interface CustomRestoreOptions {
  pgRestore: Tool;
  /** The archive, and the directory it is in, where a list of entries may be written. */
  file: string;
  directory: string;
  env: NodeJS.ProcessEnv;
  owners: boolean;
  schemas: readonly string[];
  tables: readonly string[];
}

/**
 * The arguments of pg_restore that say what of an archive is restored. Throws TARGET_REFUSED when nothing of
 * it has one of the names.
 */
export async function entryArguments(options: CustomRestoreOptions, signal: AbortSignal): Promise<string[]> {
  const { pgRestore, file, directory, env, owners, schemas, tables } = options;
  const ownership = owners ? [] : ['--no-owner', '--no-privileges'];
  if (schemas.length === 0 && tables.length === 0) return [...ownership, file];
  const list = async (args: readonly string[]): Promise<string> => {
    const chunks: Buffer[] = [];
    const command = { command: pgRestore.path, args: ['--list', ...args, file], env, signal };
    for await (const chunk of childOutput({ ...command, label: 'pg_restore' })) chunks.push(chunk);
    return Buffer.concat(chunks).toString('latin1');
  };
  const entries = join(directory, 'entries.list');
  await writeFile(entries, await selectEntries(list, schemas, tables), { encoding: 'latin1', mode: 0o600 });
  return [...ownership, `--use-list=${entries}`, file];
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
