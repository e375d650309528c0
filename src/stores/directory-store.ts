import { type FileHandle, lstat, open, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BackupError, toBackupError } from '../domain/errors.ts';
import { parseArchiveName } from '../domain/archive-name.ts';
import type { ArchiveType } from '../domain/manifest.ts';
import type {
  ByteRange,
  ByteStream,
  Key,
  Leftover,
  StagedObject,
  Store,
  StoredObject,
} from '../domain/ports.ts';
import { isThere } from '../lib/is-there.ts';
import { renameDurably, syncDirectory } from '../lib/atomic-file.ts';
import { openOwnFileToRead } from '../lib/owned-file.ts';
import { EarlyFlush } from './early-flush.ts';
import { adoptFile, FILE_MODE, type Owner } from '../lib/ownership.ts';

/** What is gathered before a write: fewer, larger system calls. */
const WRITE_BYTES = 1024 * 1024;
const READ_BYTES = 256 * 1024;

/**
 * Archives as files below a directory. The states of one object, each a name in its final directory:
 *
 *   (absent) → `.<name>.partial` → `<name>`            stage, commit
 *                                ↘ `.<name>.failed`    reject: kept for inspection
 */
export class DirectoryStore implements Store {
  readonly id: string;
  readonly #root: string;
  readonly #owner: Owner;

  constructor(root: string, owner: Owner) {
    this.id = root;
    this.#root = root;
    this.#owner = owner;
  }

  async stage(key: Key, payload: ByteStream, signal: AbortSignal): Promise<StagedObject> {
    const final = this.#path(key);
    const partial = stateName(final, 'partial');
    let size = 0;
    // Outside of what cleans up: a partial that exists already is another writer's.
    const file = await open(partial, 'wx', FILE_MODE).catch((error: unknown) => {
      throw toBackupError(error, `writing ${basename(final)}`);
    });
    try {
      try {
        await adoptFile(file, this.#owner);
        size = await writeAll(file, payload, signal);
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      // What is left there is swept by the next run, which is no reason to hide this one.
      await rm(partial, { force: true }).catch(() => undefined);
      throw signal.aborted ? signal.reason : toBackupError(error, `writing ${basename(final)}`);
    }
    return new StagedFile(key, size, { partial, final, owner: this.#owner });
  }

  async *get(key: Key, signal: AbortSignal, range?: ByteRange): AsyncGenerator<Buffer, void, undefined> {
    const path = this.#path(key);
    try {
      yield* readFile(path, this.#owner, signal, range);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      throw new BackupError('ARCHIVE_MISSING', `the archive file ${path} is missing`, {
        path,
        hint: 'It was removed or moved by something else than cofre; the manifest still records what it held.',
        cause: error,
      });
    }
  }

  async stat(key: Key): Promise<StoredObject | undefined> {
    try {
      // Of a link in its place the size of the link: it is not what was stored, and `get` refuses it.
      const { size } = await lstat(this.#path(key));
      return { key, size };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async list(type: ArchiveType): Promise<StoredObject[]> {
    const objects: StoredObject[] = [];
    for (const name of await this.#namesOf(type)) {
      if (parseArchiveName(name)?.type !== type) continue;
      const object = await this.stat(`${type}/${name}`);
      if (object !== undefined) objects.push(object);
    }
    return objects;
  }

  async delete(key: Key): Promise<void> {
    const path = this.#path(key);
    await rm(path, { force: true });
    await syncDirectory(dirname(path));
  }

  async isTaken(key: Key): Promise<boolean> {
    const final = this.#path(key);
    const names = [final, stateName(final, 'partial'), stateName(final, 'failed')];
    const found = await Promise.all(names.map((path) => isThere(path)));
    return found.includes(true);
  }

  async leftovers(type: ArchiveType): Promise<Leftover[]> {
    const leftovers: Leftover[] = [];
    for (const name of await readdir(join(this.#root, type))) {
      // The names of archives need not be taken apart: there may be thousands.
      if (!name.startsWith('.')) continue;
      const match = /^\.(?<filename>.+)\.(?<state>partial|failed)$/.exec(name)?.groups;
      if (match?.filename === undefined || parseArchiveName(match.filename)?.type !== type) continue;
      leftovers.push({
        type,
        filename: match.filename,
        state: match.state === 'failed' ? 'failed' : 'partial',
      });
    }
    return leftovers;
  }

  async removeLeftover(leftover: Leftover): Promise<void> {
    const path = stateName(this.#path(`${leftover.type}/${leftover.filename}`), leftover.state);
    await rm(path, { force: true });
    await syncDirectory(dirname(path));
  }

  /** A directory that is gone holds nothing, and whoever compares misses its archives; a root that is gone throws. */
  async #namesOf(type: ArchiveType): Promise<string[]> {
    try {
      return await readdir(join(this.#root, type));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      await stat(this.#root);
      return [];
    }
  }

  /** Keys come from validated filenames; this refuses any other, so that none can leave the root. */
  #path(key: Key): string {
    const filename = basename(key);
    const type = parseArchiveName(filename)?.type;
    if (type === undefined || key !== `${type}/${filename}`) {
      throw new BackupError('ARCHIVE_UNKNOWN', `${JSON.stringify(key)} is not the name of an archive`);
    }
    return join(this.#root, type, filename);
  }
}

class StagedFile implements StagedObject {
  readonly key: Key;
  readonly size: number;
  readonly #partial: string;
  readonly #final: string;
  readonly #owner: Owner;

  constructor(
    key: Key,
    size: number,
    { partial, final, owner }: { partial: string; final: string; owner: Owner },
  ) {
    this.key = key;
    this.size = size;
    this.#partial = partial;
    this.#final = final;
    this.#owner = owner;
  }

  read(signal: AbortSignal): ByteStream {
    return readFile(this.#partial, this.#owner, signal);
  }

  commit(): Promise<void> {
    return renameDurably(this.#partial, this.#final);
  }

  reject(): Promise<void> {
    return renameDurably(this.#partial, stateName(this.#final, 'failed'));
  }

  async discard(): Promise<void> {
    await rm(this.#partial, { force: true });
    await syncDirectory(dirname(this.#partial));
  }
}

function stateName(final: string, state: Leftover['state']): string {
  return join(dirname(final), `.${basename(final)}.${state}`);
}

/** Throws LOCATION_UNUSABLE for a link, or anything else that is no file, in the place of the object. */
async function* readFile(
  path: string,
  owner: Owner,
  signal: AbortSignal,
  range?: ByteRange,
): AsyncGenerator<Buffer, void, undefined> {
  signal.throwIfAborted();
  const file = await openOwnFileToRead(path, owner);
  const part = range === undefined ? {} : { start: range.first, end: range.last };
  for await (const chunk of file.createReadStream({ highWaterMark: READ_BYTES, ...part })) {
    signal.throwIfAborted();
    yield chunk as Buffer;
  }
}

/** Writes the stream and returns its bytes. Checks the signal between chunks, each of which is copied. */
async function writeAll(file: FileHandle, payload: ByteStream, signal: AbortSignal): Promise<number> {
  const gathered = Buffer.allocUnsafeSlow(WRITE_BYTES);
  const flushing = new EarlyFlush(file);
  let filled = 0;
  let total = 0;
  try {
    for await (const chunk of payload) {
      signal.throwIfAborted();
      for (let at = 0; at < chunk.length; ) {
        const copied = chunk.copy(gathered, filled, at);
        at += copied;
        filled += copied;
        total += copied;
        if (filled < WRITE_BYTES) continue;
        await writeWhole(file, gathered);
        flushing.wrote(filled);
        // Of a disk that failed nobody should wait for the rest.
        flushing.assertSucceeded();
        filled = 0;
      }
    }
    await writeWhole(file, gathered.subarray(0, filled));
    signal.throwIfAborted();
  } finally {
    await flushing.end();
  }
  flushing.assertSucceeded();
  return total;
}

/** A write may be short, as at the end of a disk. */
async function writeWhole(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, at, bytes.length - at);
    at += bytesWritten;
  }
}
