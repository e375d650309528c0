import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import { COMPRESSION_TYPES, type Manifest } from '../../src/domain/manifest.ts';
import type { ByteStream, StagedObject, Store } from '../../src/domain/ports.ts';
import { backupSource } from '../../src/engine/backup.ts';
import { rawBytes } from '../../src/engine/archive-bytes.ts';
import type { EngineContext } from '../../src/engine/context.ts';
import type { RunProgress } from '../../src/engine/run-request.ts';
import {
  dumpText,
  failsAfter,
  FakeClock,
  FakeSource,
  fault,
  hangsAfter,
  NO_ABORT,
  withFaults,
  yields,
} from '../support/fakes.ts';
import { pack, scratch } from '../support/file-tree.ts';
import { descendantsOf } from '../support/processes.ts';
import { collected, piecesOf, reusing } from '../support/reusing.ts';
import { addBackup, contentsOf, daily } from '../support/stock.ts';
import { namesIn } from '../support/temp-directory.ts';
import { NOW, openTestLocation, testJob, type TestLocation, testRequest } from '../support/test-location.ts';

const FILENAME = 'db_backup_app_20261120_120015.sql.gz';

function backup(
  bed: TestLocation,
  source: FakeSource,
  job = testJob(),
  signal = NO_ABORT,
): Promise<Manifest> {
  return backupSource(bed.context, job, source, testRequest(bed.clock.now()), signal);
}

/** Names below `database/` and `manifests/`. */
async function traces({ root }: TestLocation): Promise<string[]> {
  return [...(await namesIn(join(root, 'database'))), ...(await namesIn(join(root, 'manifests')))];
}

/** A store whose staged bytes are other ones when they are read again. */
function damaging(store: Store): Store {
  return withFaults(store, {
    stage: async (...args) => {
      const staged = await store.stage(...args);
      return {
        key: staged.key,
        size: staged.size,
        read: (signal) => flipped(staged.read(signal)),
        commit: () => staged.commit(),
        reject: () => staged.reject(),
        discard: () => staged.discard(),
      } satisfies StagedObject;
    },
  });
}

/** A store that is given each chunk in memory that is used again for the next. */
function reusingMemory(store: Store): Store {
  return withFaults(store, {
    stage: (key, payload, signal) => store.stage(key, reusing(payload), signal),
  });
}

async function* flipped(stream: ByteStream): AsyncGenerator<Buffer, void, undefined> {
  for await (const chunk of stream) {
    const copy = Buffer.from(chunk);
    copy.writeUInt8(copy.readUInt8(copy.length - 9) ^ 1, copy.length - 9);
    yield copy;
  }
}

describe('a backup', () => {
  test('is an archive and a manifest with exactly the fields of the format', async () => {
    const bed = await openTestLocation();
    const facts = {
      system_identifier: '7301',
      database: 'shop',
      server_version: '15.18',
      tool_version: '15.18',
    };
    const request = testRequest(bed.clock.now(), { actor: 'cli:alice', trigger: 'cli' });
    const manifest = await backupSource(bed.context, testJob(), new FakeSource({ facts }), request, NO_ABORT);
    const path = join(bed.root, 'database', FILENAME);
    const stored = await readFile(path);
    expect(gunzipSync(stored).toString()).toBe(dumpText());
    expect(manifest).toEqual({
      version: 1,
      type: 'database',
      filename: FILENAME,
      filepath: path,
      size: stored.length,
      size_human: `${stored.length} B`,
      hash: createHash('sha256').update(stored).digest('hex'),
      compressed: true,
      encrypted: false,
      timestamp: '20261120_120015',
      created_at: NOW,
      ...facts,
      job: 'nightly',
      source: 'app',
      run: request.run,
      trigger: 'cli',
      actor: 'cli:alice',
      compression: 'gzip',
      format: 'plain',
      started_at: NOW,
      duration_ms: 0,
      raw_size: dumpText().length,
      pinned: false,
      incomplete: false,
      contents: await contentsOf(dumpText()),
      verification: { level: 'contents', ok: true, at: NOW, detail: '1 table with 2 rows, as dumped' },
    });
    const text = await readFile(join(bed.root, 'manifests', `${FILENAME}.json`), 'utf8');
    expect(JSON.parse(text)).toEqual(manifest);
    expect(await traces(bed)).toEqual([FILENAME, `${FILENAME}.json`]);
    for (const file of [path, join(bed.root, 'manifests', `${FILENAME}.json`)]) {
      expect((await stat(file)).mode & 0o777).toBe(0o600);
    }
  });

  test.each(COMPRESSION_TYPES)(
    'through %s needs no chunk once the next was asked for: not of the source, not of the codec',
    async (type) => {
      const bed = await openTestLocation({ wrapStore: reusingMemory });
      const dump = Buffer.from(
        dumpText(Array.from({ length: 30_000 }, (_, n) => `${n}\tname of ${n * 7919}`)),
      );
      const source = new FakeSource({ bytes: () => reusing(piecesOf(dump, 50_001)) });
      const job = testJob({ compression: { type, level: 1 } });
      const manifest = await backup(bed, source, job);
      expect(manifest).toMatchObject({ raw_size: dump.length, contents: await contentsOf(dump.toString()) });
      const read = await collected(rawBytes(bed.context, manifest, NO_ABORT));
      expect(read.equals(dump)).toBe(true);
    },
  );

  test('of directories holds their names and roots, and what could not be read makes it incomplete', async () => {
    const bed = await openTestLocation();
    using home = scratch();
    const { archive } = pack({ roots: [{ path: home.path, as: 'uploads' }] });
    const facts = { directories: ['uploads'], roots: [{ name: 'uploads', path: home.path }] };
    const remarks = {
      changed: [{ path: 'uploads/log', reason: 'it grew' }],
      incomplete: [{ path: 'uploads/secret', reason: 'permission denied' }],
    };
    const source = new FakeSource({ name: 'up', format: 'tar', bytes: yields(archive), facts, remarks });
    const manifest = await backup(bed, source, testJob({ compression: { type: 'zstd' } }));
    expect(manifest).toMatchObject({
      type: 'files',
      filename: 'files_backup_up_20261120_120015.tar.zst',
      ...facts,
      incomplete: true,
      contents: { entries: 1, bytes: 0, ...remarks },
    });
    expect(await namesIn(join(bed.root, 'files'))).toEqual([manifest.filename]);
    expect(bed.log.some(({ level, msg }) => level === 'warn' && msg.includes('could not be read'))).toBe(
      true,
    );
  });

  test('without compression is the dump itself', async () => {
    const bed = await openTestLocation();
    const manifest = await backup(bed, new FakeSource(), testJob({ compression: { type: 'none' } }));
    expect(manifest).toMatchObject({ compressed: false, filename: 'db_backup_app_20261120_120015.sql' });
    expect(await readFile(manifest.filepath, 'utf8')).toBe(dumpText());
  });

  test.each(['plain', 'custom', 'tar'] as const)(
    'of the format %s tells the codec what it is',
    async (format) => {
      const bed = await openTestLocation();
      const told: unknown[] = [];
      const { openCodec } = bed.context;
      const context: EngineContext = {
        ...bed.context,
        openCodec: (type, options) => {
          told.push(options);
          return openCodec(type, options);
        },
      };
      const source = new FakeSource({ format });
      const compression = { type: 'zstd', level: 5, longDistance: true } as const;
      const request = testRequest(bed.clock.now());
      // What it holds is no dump of that format, which is of no concern to the codec.
      await backupSource(context, testJob({ compression }), source, request, NO_ABORT).catch(() => undefined);
      const content = format === 'tar' ? 'files' : 'database';
      expect(told[0]).toMatchObject({ level: 5, longDistance: true, content });
    },
  );

  test('tells how far it is', async () => {
    const bed = await openTestLocation();
    const last = new Map<string, RunProgress>();
    const onProgress = (progress: RunProgress) => last.set(progress.step, progress);
    const request = testRequest(bed.clock.now(), { onProgress });
    const { size } = await backupSource(bed.context, testJob(), new FakeSource(), request, NO_ABORT);
    expect([...last.values()]).toEqual([
      { source: 'app', step: 'capture', bytes: dumpText().length },
      { source: 'app', step: 'verify', bytes: size, total_bytes: size },
    ]);
  });

  test('whose name is taken waits for the next free second', async () => {
    const bed = await openTestLocation();
    await addBackup(bed, FILENAME);
    const manifest = await backup(bed, new FakeSource());
    expect(manifest).toMatchObject({
      timestamp: '20261120_120016',
      created_at: '2026-11-20T12:00:16.000Z',
      filename: 'db_backup_app_20261120_120016.sql.gz',
    });
    expect(bed.context.catalogue.series('app')).toHaveLength(2);
  });
});

describe('a capture that fails leaves nothing', () => {
  const text = dumpText();
  test.each([
    [
      'half-way',
      failsAfter(text.slice(0, 200), new BackupError('TOOL_FAILED', 'pg_dump exited with status 1')),
      'TOOL_FAILED',
    ],
    [
      'after its last byte',
      failsAfter(text, new BackupError('TOOL_FAILED', 'pg_dump exited')),
      'TOOL_FAILED',
    ],
    ['before its first byte', failsAfter('', new BackupError('SERVER_AUTH', 'no')), 'SERVER_AUTH'],
    ['by ending early without an error', yields(text.slice(0, -50)), 'DUMP_TRUNCATED'],
    ['by writing nothing', yields(''), 'DUMP_EMPTY'],
  ])('%s', async (_, bytes, code) => {
    const bed = await openTestLocation();
    const source = new FakeSource({ bytes });
    await expect(backup(bed, source)).rejects.toMatchObject({ code });
    expect(await traces(bed)).toEqual([]);
    expect(source.released).toBe(1);
    expect(await bed.metric('cofre_errors_total', { step: 'capture' })).toBe(1);
  });

  test('because it was aborted', async () => {
    const bed = await openTestLocation();
    const controller = new AbortController();
    const reason = new BackupError('CANCELLED', 'stopped');
    const bytes = hangsAfter(dumpText(), () => controller.abort(reason));
    await expect(backup(bed, new FakeSource({ bytes }), testJob(), controller.signal)).rejects.toBe(reason);
    expect(await traces(bed)).toEqual([]);
  });

  test('because the lock was lost', async () => {
    const bed = await openTestLocation();
    const killHolder = () => {
      const holder = descendantsOf(process.pid).find(({ command }) => command === 'cat');
      if (holder !== undefined) process.kill(holder.pid, 'SIGKILL');
    };
    const source = new FakeSource({ bytes: hangsAfter(dumpText(), killHolder) });
    await expect(backup(bed, source)).rejects.toMatchObject({ code: 'LOCK_LOST' });
    expect(await traces(bed)).toEqual([]);
  });

  test('and lets go of what it holds, when the archive cannot even be begun', async () => {
    const bed = await openTestLocation({
      openInspector: async () => {
        throw new BackupError('TOOL_MISSING', 'pg_restore was not found');
      },
    });
    const source = new FakeSource();
    await expect(backup(bed, source)).rejects.toMatchObject({ code: 'TOOL_MISSING' });
    expect(source).toMatchObject({ captures: 1, released: 1 });
    expect(await traces(bed)).toEqual([]);
  });

  test('disk full reported as success: not here', async () => {
    const bed = await openTestLocation({
      wrapStore: (store) =>
        withFaults(store, {
          stage: async (key, payload, signal) => {
            const full = async function* () {
              for await (const chunk of payload) {
                yield chunk;
                throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
              }
            };
            return await store.stage(key, full(), signal);
          },
        }),
    });
    await expect(backup(bed, new FakeSource())).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(await traces(bed)).toEqual([]);
  });

  test('at once when the disk is full while the source is stalled, which is broken off', async () => {
    const bed = await openTestLocation({
      wrapStore: (store) =>
        withFaults(store, {
          stage: async (_key, payload) => {
            for await (const chunk of payload) {
              const full = new Error(`ENOSPC: no space left on device for ${chunk.length} bytes`);
              throw Object.assign(full, { code: 'ENOSPC' });
            }
            throw new Error('there was nothing to write');
          },
        }),
    });
    // More than a block of zstd, so that something comes out.
    const rows = Array.from({ length: 500_000 }, (_, row) => `${row}\tname`);
    const source = new FakeSource({ bytes: hangsAfter(dumpText(rows)) });
    const zstd = testJob({ compression: { type: 'zstd' } });
    await expect(backup(bed, source, zstd)).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(source.released).toBe(1);
    expect(await traces(bed)).toEqual([]);
  }, 10_000);
});

describe('a preflight', () => {
  test('that finds faults reports all of them, and nothing is captured', async () => {
    const bed = await openTestLocation();
    const findings = [fault('UNREADABLE', 'table a'), fault('UNREADABLE', 'table b')];
    const source = new FakeSource({ preflight: () => findings });
    await expect(backup(bed, source)).rejects.toMatchObject({
      code: 'UNREADABLE',
      message: 'table a; table b',
      faults: [{ message: 'table a' }, { message: 'table b' }],
    });
    expect(source.captures).toBe(0);
  });

  test('that only warns is logged', async () => {
    const bed = await openTestLocation();
    const warning = { ...fault('UNREADABLE', 'a sequence'), severity: 'warning' as const };
    await backup(bed, new FakeSource({ preflight: () => [warning] }));
    expect(bed.log.some(({ level, msg }) => level === 'warn' && msg === 'a sequence')).toBe(true);
  });

  test('of a location without room for an archive like the last one is SPACE_LOW', async () => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(1), { size: 9e15 });
    const source = new FakeSource();
    await expect(backup(bed, source)).rejects.toMatchObject({ code: 'SPACE_LOW', path: bed.root });
    expect(source.captures).toBe(0);
    // The room that other sources need is theirs.
    await backup(bed, new FakeSource({ name: 'other' }));
  });
});

describe('an archive that does not verify when it is read again', () => {
  test('is kept as `.failed`, is no backup, and only the newest of them stays', async () => {
    const bed = await openTestLocation({ wrapStore: damaging });
    const mismatch = { code: 'CONTENTS_MISMATCH' };
    await expect(backup(bed, new FakeSource())).rejects.toMatchObject(mismatch);
    expect(await traces(bed)).toEqual([`.${FILENAME}.failed`]);
    expect(await bed.metric('cofre_verify_total', { result: 'fault' })).toBe(1);
    bed.clock.advance(60_000);
    await expect(backup(bed, new FakeSource())).rejects.toMatchObject(mismatch);
    bed.clock.advance(60_000);
    const later = await openTestLocation({ root: bed.root, clock: bed.clock });
    const { filename } = await backup(later, new FakeSource());
    expect(await traces(bed)).toEqual([
      '.db_backup_app_20261120_120115.sql.gz.failed',
      filename,
      `${filename}.json`,
    ]);
    expect(bed.context.catalogue.list()).toHaveLength(1);
  });

  test.each(['checksum', 'contents'] as const)('is found at level %s', async (verify) => {
    const bed = await openTestLocation({ wrapStore: damaging });
    await expect(backup(bed, new FakeSource(), testJob({ verify }))).rejects.toMatchObject({
      code: 'CONTENTS_MISMATCH',
    });
  });
});

describe('retries', () => {
  const unreachable = new BackupError('SERVER_UNREACHABLE', 'connection refused');

  test('are made for connection faults only, with growing delays, from preflight and capture', async () => {
    const bed = await openTestLocation();
    const source = new FakeSource({
      preflight: (attempt) => (attempt === 1 ? [fault('SERVER_UNREACHABLE', 'connection refused')] : []),
      bytes: (signal, attempt) =>
        (attempt === 1 ? failsAfter('--', unreachable) : yields(dumpText()))(signal, attempt),
    });
    await backup(bed, source, testJob({ retries: 2 }));
    expect(source).toMatchObject({ preflights: 3, captures: 2 });
    const delays = bed.log.flatMap(({ msg }) => /trying again in (.*)$/.exec(msg)?.[1] ?? []);
    expect(delays).toEqual(['1.0 s', '2.0 s']);
    expect(await traces(bed)).toHaveLength(2);
  });

  test('end with the number asked for', async () => {
    const bed = await openTestLocation();
    const source = new FakeSource({ bytes: failsAfter('--', unreachable) });
    await expect(backup(bed, source, testJob({ retries: 1 }))).rejects.toBe(unreachable);
    expect(source.captures).toBe(2);
  });

  test.each(['SERVER_AUTH', 'TOOL_FAILED', 'UNREADABLE', 'SERVER_BUSY'] as const)(
    'are not made for %s',
    async (code) => {
      const bed = await openTestLocation();
      const source = new FakeSource({ bytes: failsAfter('--', new BackupError(code, 'no')) });
      await expect(backup(bed, source, testJob({ retries: 5 }))).rejects.toMatchObject({ code });
      expect(source.captures).toBe(1);
    },
  );

  test('end with the abort', async () => {
    const bed = await openTestLocation();
    const controller = new AbortController();
    const source = new FakeSource({
      preflight: () => {
        setTimeout(() => controller.abort(new BackupError('CANCELLED', 'stopped')), 20);
        return [fault('SERVER_UNREACHABLE', 'connection refused')];
      },
    });
    const job = testJob({ retries: 1_000 });
    await expect(backup(bed, source, job, controller.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('after the archive has its name', () => {
  test('a manifest that cannot be written takes the archive back', async () => {
    const bed = await openTestLocation();
    const { catalogue } = bed.context;
    Object.defineProperty(catalogue, 'add', {
      value: async () => {
        throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      },
    });
    await expect(backup(bed, new FakeSource())).rejects.toMatchObject({ code: 'DISK_FULL' });
    expect(await traces(bed)).toEqual([]);
  });

  test('a cancellation comes too late: it is a backup', async () => {
    const controller = new AbortController();
    const bed = await openTestLocation({
      wrapStore: (store) =>
        withFaults(store, {
          stage: async (...args) => {
            const staged = await store.stage(...args);
            const commit = async () => {
              await staged.commit();
              controller.abort(new BackupError('CANCELLED', 'stopped'));
            };
            return {
              key: staged.key,
              size: staged.size,
              commit,
              read: (signal) => staged.read(signal),
              reject: () => staged.reject(),
              discard: () => staged.discard(),
            };
          },
        }),
    });
    const manifest = await backup(bed, new FakeSource(), testJob(), controller.signal);
    expect(bed.context.catalogue.find(manifest.filename)).toBeDefined();
  });
});

test('a source that is being captured already is waited for, then captured', async () => {
  const bed = await openTestLocation({ clock: new FakeClock(NOW) });
  const lock = await bed.location.lock('run.app', NO_ABORT, 0);
  const source = new FakeSource();
  const running = backup(bed, source);
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(source.preflights).toBe(0);
  await lock[Symbol.asyncDispose]();
  await running;
  expect(source.captures).toBe(1);
});
