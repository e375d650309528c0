import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupError } from '../../domain/errors.ts';
import type { ScratchDirectory } from '../../domain/restore-ports.ts';
import { assertSucceeded, outputText, runChild } from '../../lib/child.ts';
import { endingWithUs } from '../../lib/parent-death.ts';
import type { Tool } from '../../postgres/tools.ts';
import { dumpMembers, TOC_NAME } from './dump-members.ts';
import { packDump } from './pack-dump.ts';

const NO_SPACE = /No space left on device|Disk quota exceeded/;

/** Where a dump in the directory format lies until it is archived. */
export interface Staging {
  /** The directory in which it is made; its free space is that of the dump. */
  parent(): Promise<string>;
  /** Empty, of mode 0700, and gone when it is disposed of. Throws IO_FAILED where none can be made. */
  make(signal: AbortSignal): Promise<ScratchDirectory>;
}

export interface DirectoryDumpOptions {
  pgDump: Tool;
  /** One as new as pg_dump: it tells the order of the files. */
  pgRestore: Tool;
  /** Of pg_dump, but for where it writes to. */
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  staging: Staging;
  /** What the directory is called in the archive. */
  top: string;
  signal: AbortSignal;
  /** Called when data had arrived before something failed, or all have. */
  onReceived: () => void;
}

/**
 * A parallel dump as one tar: pg_dump writes its files into a directory, which are packed once it has succeeded and
 * are gone when the stream has ended, however it ends. pg_dump ends with us, also when we are killed.
 *
 * Throws TOOL_FAILED, DISK_FULL, DUMP_EMPTY, IO_FAILED, or the reason of the abort.
 */
export async function* readDirectoryDump(
  options: DirectoryDumpOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const { staging, signal, top, onReceived } = options;
  await using scratch = await staging.make(signal);
  const directory = join(scratch.path, 'dump');
  try {
    await dumpInto(directory, options);
  } catch (error) {
    if ((await readdir(directory).catch(() => [])).length > 0) onReceived();
    throw error;
  }
  onReceived();
  const list = await listOf(directory, options);
  for await (const chunk of packDump(directory, top, dumpMembers(directory, list))) {
    signal.throwIfAborted();
    yield chunk;
  }
}

async function dumpInto(directory: string, options: DirectoryDumpOptions): Promise<void> {
  const { pgDump, args, env, signal } = options;
  const [command = '', ...rest] = [
    ...(await endingWithUs(signal)),
    pgDump.path,
    ...args,
    `--file=${directory}`,
    // What is read again at once, and thrown away.
    ...(pgDump.major >= 10 ? ['--no-sync'] : []),
  ];
  const { stderr, ...exit } = await runChild({ command, args: rest, env, signal, label: 'pg_dump' });
  try {
    assertSucceeded('pg_dump', exit, stderr, signal);
  } catch (error) {
    if (!(error instanceof BackupError) || !NO_SPACE.test(stderr)) throw error;
    throw new BackupError('DISK_FULL', `no space is left for the dump: ${error.message}`, {
      path: directory,
      hint: 'Free space there, or name a directory on a larger disk as scratch.directory.',
      cause: error,
    });
  }
  const toc = await stat(join(directory, TOC_NAME)).catch(() => undefined);
  if (toc !== undefined && toc.size > 0) return;
  throw new BackupError('DUMP_EMPTY', 'pg_dump succeeded, and wrote no table of contents', {
    hint: 'Run pg_dump by hand with the same connection to see why it wrote nothing.',
  });
}

async function listOf(directory: string, { pgRestore, env, signal }: DirectoryDumpOptions): Promise<string> {
  const args = ['--list', directory];
  return await outputText({ command: pgRestore.path, args, env, signal, label: 'pg_restore' });
}
