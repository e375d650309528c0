import { randomBytes } from 'node:crypto';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import type { ByteStream, Key, Store } from '../../src/domain/ports.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { collected, piecesOf, reusing } from '../support/reusing.ts';
import { noise } from '../support/varied-bytes.ts';

/** A store that is empty, and how to see what is really in it. */
export interface StoreUnderTest {
  store: Store;
  /** Every name in the store, whatever its state, sorted. */
  readonly names: () => Promise<string[]>;
  /** Puts something into the store that the store did not write. */
  readonly plant: (name: string, text: string) => Promise<void>;
}

const NAME = 'db_backup_app_20261120_120015.sql.gz';
const KEY: Key = `database/${NAME}`;

async function* streamOf(...parts: string[]): AsyncGenerator<Buffer, void, undefined> {
  for (const part of parts) yield Buffer.from(part);
}

/** Looks at no chunk before it has all of them. */
async function joined(stream: ByteStream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function read(stream: ByteStream): Promise<string> {
  return (await joined(stream)).toString();
}

async function put(store: Store, key: Key, text: string): Promise<void> {
  await (await store.stage(key, streamOf(text), NO_ABORT)).commit();
}

/** What every store must do; an adapter's test calls it with a factory. */
export function describeStore(name: string, open: () => Promise<StoreUnderTest>): void {
  describe(`${name} as a store`, () => {
    test('what was staged is no object until it is committed, and then holds the bytes written', async () => {
      const { store } = await open();
      const staged = await store.stage(KEY, streamOf('one ', '', 'two'), NO_ABORT);
      expect(staged).toMatchObject({ key: KEY, size: 7 });
      expect(await store.stat(KEY)).toBeUndefined();
      expect(await store.list('database')).toEqual([]);
      expect(await read(staged.read(NO_ABORT))).toBe('one two');
      await staged.commit();
      expect(await store.stat(KEY)).toEqual({ key: KEY, size: 7 });
      expect(await store.list('database')).toEqual([{ key: KEY, size: 7 }]);
      expect(await store.list('files')).toEqual([]);
      expect(await read(store.get(KEY, NO_ABORT))).toBe('one two');
      expect(await store.leftovers('database')).toEqual([]);
    });

    test('a part of an object is read by its first and last byte', async () => {
      const { store } = await open();
      await put(store, KEY, 'one two three');
      expect(await read(store.get(KEY, NO_ABORT, { first: 4, last: 6 }))).toBe('two');
      expect(await read(store.get(KEY, NO_ABORT, { first: 0, last: 0 }))).toBe('o');
      expect(await read(store.get(KEY, NO_ABORT, { first: 8, last: 12 }))).toBe('three');
    });

    test('what was read stays as it is while more is read', async () => {
      const { store } = await open();
      const bytes = randomBytes(3_000_001);
      const whole = async function* () {
        yield bytes;
      };
      const staged = await store.stage(KEY, whole(), NO_ABORT);
      expect((await joined(staged.read(NO_ABORT))).equals(bytes)).toBe(true);
      await staged.commit();
      expect((await joined(store.get(KEY, NO_ABORT))).equals(bytes)).toBe(true);
    });

    test('many chunks of odd sizes keep their order', async () => {
      const { store } = await open();
      const parts = Array.from({ length: 3_000 }, (_, index) => `${index};`.repeat((index * 37) % 400));
      const staged = await store.stage(KEY, streamOf(...parts), NO_ABORT);
      expect(staged.size).toBe(parts.join('').length);
      expect((await read(staged.read(NO_ABORT))) === parts.join('')).toBe(true);
    });

    test.each([70_000, 1_048_576, 2_500_000])(
      'memory of %i bytes may be used again for the next chunk',
      async (bytes) => {
        const { store } = await open();
        const data = noise(3_100_000);
        const staged = await store.stage(KEY, reusing(piecesOf(data, bytes)), NO_ABORT);
        expect((await collected(staged.read(NO_ABORT))).equals(data)).toBe(true);
      },
    );

    test('a payload that fails half-way leaves nothing', async () => {
      const { store, names } = await open();
      const failing = async function* () {
        yield Buffer.alloc(2_000_000);
        throw new BackupError('TOOL_FAILED', 'pg_dump exited with status 1');
      };
      await expect(store.stage(KEY, failing(), NO_ABORT)).rejects.toMatchObject({ code: 'TOOL_FAILED' });
      expect(await names()).toEqual([]);
    });

    test('an abort half-way leaves nothing, rejects with its reason and ends the payload', async () => {
      const { store, names } = await open();
      const controller = new AbortController();
      const reason = new BackupError('CANCELLED', 'stopped');
      let isReleased = false;
      const payload = async function* () {
        try {
          yield Buffer.from('some');
          controller.abort(reason);
          yield Buffer.from('more');
        } finally {
          isReleased = true;
        }
      };
      await expect(store.stage(KEY, payload(), controller.signal)).rejects.toBe(reason);
      expect(await names()).toEqual([]);
      expect(isReleased).toBe(true);
    });

    test('an abort with the last byte counts', async () => {
      const { store, names } = await open();
      const controller = new AbortController();
      const payload = async function* () {
        yield Buffer.from('some');
        controller.abort(new BackupError('CANCELLED', 'stopped'));
      };
      const staging = store.stage(KEY, payload(), controller.signal);
      await expect(staging).rejects.toMatchObject({ code: 'CANCELLED' });
      expect(await names()).toEqual([]);
    });

    test('what is discarded leaves nothing; discarding what has a name already is harmless', async () => {
      const { store, names } = await open();
      const staged = await store.stage(KEY, streamOf('x'), NO_ABORT);
      await staged.discard();
      expect(await names()).toEqual([]);
      const again = await store.stage(KEY, streamOf('y'), NO_ABORT);
      await again.commit();
      await again.discard();
      expect(await read(store.get(KEY, NO_ABORT))).toBe('y');
    });

    test('what is rejected is kept for inspection and is no object', async () => {
      const { store } = await open();
      const staged = await store.stage(KEY, streamOf('x'), NO_ABORT);
      await staged.reject();
      expect(await store.stat(KEY)).toBeUndefined();
      expect(await store.list('database')).toEqual([]);
      const [leftover, ...more] = await store.leftovers('database');
      expect(leftover).toEqual({ type: 'database', filename: NAME, state: 'failed' });
      expect(more).toEqual([]);
      if (leftover !== undefined) await store.removeLeftover(leftover);
      expect(await store.leftovers('database')).toEqual([]);
    });

    test('a second writer of one key is refused, and does not harm the first', async () => {
      const { store } = await open();
      const first = await store.stage(KEY, streamOf('first'), NO_ABORT);
      await expect(store.stage(KEY, streamOf('second'), NO_ABORT)).rejects.toBeInstanceOf(BackupError);
      await first.commit();
      expect(await read(store.get(KEY, NO_ABORT))).toBe('first');
    });

    test('a staged object that nobody ended is a leftover, and can be removed', async () => {
      const { store, names } = await open();
      await store.stage(KEY, streamOf('x'), NO_ABORT);
      const leftovers = await store.leftovers('database');
      expect(leftovers).toEqual([{ type: 'database', filename: NAME, state: 'partial' }]);
      for (const leftover of leftovers) await store.removeLeftover(leftover);
      expect(await names()).toEqual([]);
    });

    test('a name is taken by what is staged, rejected or committed, and free again without', async () => {
      const { store } = await open();
      expect(await store.isTaken(KEY)).toBe(false);
      const staged = await store.stage(KEY, streamOf('x'), NO_ABORT);
      expect(await store.isTaken(KEY)).toBe(true);
      await staged.discard();
      expect(await store.isTaken(KEY)).toBe(false);
      await (await store.stage(KEY, streamOf('x'), NO_ABORT)).reject();
      expect(await store.isTaken(KEY)).toBe(true);
      for (const leftover of await store.leftovers('database')) await store.removeLeftover(leftover);
      await (await store.stage(KEY, streamOf('x'), NO_ABORT)).commit();
      expect(await store.isTaken(KEY)).toBe(true);
    });

    test('deleting removes the object; deleting an absent one succeeds', async () => {
      const { store, names } = await open();
      await put(store, KEY, 'x');
      await store.delete(KEY);
      expect(await names()).toEqual([]);
      await store.delete(KEY);
    });

    test('reading an absent object throws ARCHIVE_MISSING', async () => {
      const { store } = await open();
      await expect(read(store.get(KEY, NO_ABORT))).rejects.toMatchObject({ code: 'ARCHIVE_MISSING' });
    });

    test('reading stops when it is aborted', async () => {
      const { store } = await open();
      await put(store, KEY, 'x'.repeat(2_000_000));
      const controller = new AbortController();
      const reading = async () => {
        for await (const chunk of store.get(KEY, controller.signal)) {
          expect(chunk.length).toBeGreaterThan(0);
          controller.abort(new BackupError('CANCELLED', 'stopped'));
        }
      };
      await expect(reading()).rejects.toMatchObject({ code: 'CANCELLED' });
    });

    test('names that are no archives are neither objects nor leftovers', async () => {
      const { store, plant } = await open();
      const foreign = [
        'readme.txt',
        'files_backup_app_20261120_120015.tar',
        `${NAME}.bak`,
        '.db_backup_app_20261320_120015.sql.partial',
        '.something.partial',
        '.other.failed',
      ];
      for (const file of foreign) await plant(file, 'x');
      expect(await store.list('database')).toEqual([]);
      expect(await store.leftovers('database')).toEqual([]);
    });

    test.each([
      'database/../../etc/passwd',
      '../database/db_backup_app_20261120_120015.sql.gz',
      `files/${NAME}`,
      `database//${NAME}`,
      `database/x/${NAME}`,
      'database/',
      NAME,
      `/database/${NAME}`,
    ])('the key %j is refused by every operation', async (text) => {
      const { store, names } = await open();
      const key = text as Key;
      const refused = { code: 'ARCHIVE_UNKNOWN' };
      await expect(store.stage(key, streamOf('x'), NO_ABORT)).rejects.toMatchObject(refused);
      await expect(read(store.get(key, NO_ABORT))).rejects.toMatchObject(refused);
      await expect(store.stat(key)).rejects.toMatchObject(refused);
      await expect(store.delete(key)).rejects.toMatchObject(refused);
      const filename = text.slice('database/'.length);
      await expect(
        store.removeLeftover({ type: 'database', filename: `../${filename}`, state: 'partial' }),
      ).rejects.toMatchObject(refused);
      expect(await names()).toEqual([]);
    });
  });
}

/** Every name below a directory of a store on disk, and a way to plant one; the directories exist. */
export function onDisk(root: string): Omit<StoreUnderTest, 'store'> {
  return {
    names: async () => {
      const entries = await readdir(root, { recursive: true, withFileTypes: true });
      return entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
    },
    plant: async (name, text) => await writeFile(join(root, 'database', name), text),
  };
}

/** The permission bits of a file. */
export async function modeOf(path: string): Promise<number> {
  return (await stat(path)).mode & 0o7777;
}
