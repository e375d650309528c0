import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupError } from '../../domain/errors.ts';
import type { ByteStream } from '../../domain/ports.ts';
import { DirectoryArchiveReader } from '../../formats/dump/directory-archive.ts';
import { assertRoom, notUnpacked } from './spool.ts';

type Step = { kind: 'open'; name: string } | { kind: 'write'; piece: Buffer } | { kind: 'close' };

/**
 * Unpacks the tar of a dump in the directory format into a directory of its own in a temporary one: parallel jobs of
 * pg_restore read its files side by side. Throws SPACE_LOW before anything is written, DISK_FULL, ARCHIVE_UNSAFE for
 * what does not belong into such a dump, or what the stream throws.
 * @returns the path of the directory.
 */
export async function unpackDirectory(
  raw: ByteStream,
  raw_size: number,
  directory: string,
  signal: AbortSignal,
): Promise<string> {
  await assertRoom(directory, raw_size);
  const path = join(directory, 'archive.dir');
  await mkdir(path, { mode: 0o700 });
  let steps: Step[] = [];
  const reader = new DirectoryArchiveReader({
    file: (name) => steps.push({ kind: 'open', name }),
    data: (piece) => steps.push({ kind: 'write', piece }),
    fileEnd: () => steps.push({ kind: 'close' }),
  });
  await using writer = new Writer(path);
  try {
    for await (const chunk of raw) {
      signal.throwIfAborted();
      reader.write(chunk);
      for (const step of steps) await writer.take(step);
      steps = [];
    }
    reader.end();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    throw notUnpacked('DISK_FULL', directory, 'no space is left', raw_size, error);
  }
  return path;
}

class Writer implements AsyncDisposable {
  readonly #directory: string;
  #file: FileHandle | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async take(step: Step): Promise<void> {
    switch (step.kind) {
      case 'open':
        this.#file = await this.#open(step.name);
        return;
      case 'write':
        await this.#file?.writeFile(step.piece);
        return;
      case 'close':
        await this[Symbol.asyncDispose]();
        return;
      default:
        step satisfies never;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  /** The same name twice would be what was verified once, and something else. */
  async #open(name: string): Promise<FileHandle> {
    try {
      return await open(join(this.#directory, name), 'wx', 0o600);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      throw new BackupError('ARCHIVE_UNSAFE', `the archive holds the file ${name} twice`, {
        hint: 'Somebody changed the archive after it was written: find out who, and restore another one.',
        cause: error,
      });
    }
  }
}
