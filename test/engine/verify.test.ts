import { readFile, rm, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import { VERIFY_LEVELS, type Manifest, type VerifyLevel } from '../../src/domain/manifest.ts';
import { backupSource } from '../../src/engine/backup.ts';
import { type VerifyResult, verifyArchive } from '../../src/engine/verify.ts';
import { dumpText, FakeSource, NO_ABORT, withFaults, yields } from '../support/fakes.ts';
import { pack, scratch } from '../support/file-tree.ts';
import { openTestLocation, testJob, type TestLocation, testRequest } from '../support/test-location.ts';

const SCOPE = { job: '@verify', run: '', actor: 'cli:test' };

async function backupOf(bed: TestLocation, source = new FakeSource(), job = testJob()): Promise<Manifest> {
  return await backupSource(bed.context, job, source, testRequest(bed.clock.now()), NO_ABORT);
}

function verify(bed: TestLocation, filename: string, level: VerifyLevel): Promise<VerifyResult> {
  return verifyArchive(bed.context, filename, level, SCOPE, NO_ABORT);
}

describe.each(VERIFY_LEVELS)('at level %s', (level) => {
  test('an intact archive is valid, and the manifest records it', async () => {
    const bed = await openTestLocation();
    const { filename, size } = await backupOf(bed);
    bed.clock.advance(86_400_000);
    let bytes = 0;
    const result = await verifyArchive(bed.context, filename, level, SCOPE, NO_ABORT, (count) => {
      bytes += count;
    });
    expect(result).toMatchObject({ filename, valid: true, level });
    expect(bytes).toBe(size);
    expect(bed.context.catalogue.find(filename)?.verification).toEqual({
      level,
      ok: true,
      at: '2026-11-21T12:00:15.000Z',
      detail: result.detail,
    });
    expect(await bed.metric('cofre_verify_total', { source: 'app', result: 'ok' })).toBe(2);
  });

  test.each<[string, (stored: Buffer) => Buffer]>([
    ['one bit flipped in the middle', (stored) => flip(stored, stored.length >> 1)],
    ['one bit flipped in a header field that decoders pass over', (stored) => flip(stored, 4)],
    ['one bit flipped at the end', (stored) => flip(stored, stored.length - 1)],
    ['its last byte cut off', (stored) => stored.subarray(0, -1)],
    ['its second half cut off', (stored) => stored.subarray(0, stored.length >> 1)],
    ['nothing left', () => Buffer.alloc(0)],
    ['something appended', (stored) => Buffer.concat([stored, Buffer.from('x')])],
    ['itself appended', (stored) => Buffer.concat([stored, stored])],
  ])('an archive with %s is found', async (_, damage) => {
    const bed = await openTestLocation();
    for (const type of ['none', 'gzip', 'zstd'] as const) {
      const { filename, filepath } = await backupOf(bed, undefined, testJob({ compression: { type } }));
      await writeFile(filepath, damage(await readFile(filepath)));
      expect(await verify(bed, filename, level)).toMatchObject({ valid: false });
      expect(bed.context.catalogue.find(filename)?.verification).toMatchObject({ ok: false, level });
    }
  });

  test('archives that were swapped are found', async () => {
    const bed = await openTestLocation();
    const one = await backupOf(bed);
    const other = await backupOf(
      bed,
      new FakeSource({ name: 'other', bytes: yields(dumpText(['7\tseven'])) }),
    );
    const [first, second] = [await readFile(one.filepath), await readFile(other.filepath)];
    await writeFile(one.filepath, second);
    await writeFile(other.filepath, first);
    for (const { filename } of [one, other]) {
      expect(await verify(bed, filename, level)).toMatchObject({ valid: false });
    }
  });

  test('verification that verifies nothing: an archive that is gone, or its whole directory, is a fault', async () => {
    const bed = await openTestLocation();
    const { filename, filepath } = await backupOf(bed);
    await rm(filepath);
    expect(await verify(bed, filename, level)).toMatchObject({
      valid: false,
      detail: expect.stringContaining('missing') as string,
    });
    await rm(join(bed.root, 'database'), { recursive: true });
    expect((await verify(bed, filename, level)).valid).toBe(false);
  });

  test('a hash edited in the manifest is found', async () => {
    const bed = await openTestLocation();
    const { filename } = await backupOf(bed);
    const hash = createHash('sha256').update('other').digest('hex');
    await bed.context.catalogue.update(filename, (manifest) => ({ ...manifest, hash }), NO_ABORT);
    expect(await verify(bed, filename, level)).toMatchObject({ valid: false });
  });
});

describe('comparing with a hash read from metadata one wrote oneself', () => {
  /** Another archive, with a manifest that was made to fit it. */
  async function forge(bed: TestLocation, dump: string): Promise<string> {
    const { filename, filepath } = await backupOf(bed);
    const stored = gzipSync(dump);
    await writeFile(filepath, stored);
    const hash = createHash('sha256').update(stored).digest('hex');
    const change = (manifest: Manifest) => ({ ...manifest, hash, size: stored.length });
    await bed.context.catalogue.update(filename, change, NO_ABORT);
    return filename;
  }

  test.each([
    [
      'a row that differs',
      dumpText(['1\tone', '2\tTWO']),
      /table public\.items: 2 rows as recorded, but not the same data/,
    ],
    ['a row less', dumpText(['1\tone']), /table public\.items: 2 rows recorded, 1 in the archive/],
    [
      'a table of another name',
      dumpText(undefined, 'things'),
      /table public\.items: 2 rows recorded, and no such table in the archive; table public\.things: 2 rows in the archive, none recorded/,
    ],
    [
      'another schema',
      dumpText().replace('name text', 'name varchar'),
      /^beside the rows of tables something differs from what was recorded/,
    ],
    ['a dump without its end', dumpText().slice(0, -60), /the dump ends within the data/],
  ])('is not enough: what was seen while dumping shows %s', async (_, dump, detail) => {
    const bed = await openTestLocation();
    const filename = await forge(bed, dump);
    expect(await verify(bed, filename, 'checksum')).toMatchObject({ valid: true });
    const result = await verify(bed, filename, 'contents');
    expect(result.valid).toBe(false);
    expect(result.detail).toMatch(detail);
  });

  test('for a tree its digest shows the difference', async () => {
    const bed = await openTestLocation();
    using home = scratch();
    await writeFile(join(home.path, 'a'), 'one');
    const archive = () => pack({ roots: [{ path: home.path, as: 'tree' }] }).archive;
    const source = new FakeSource({ name: 'tree', format: 'tar', bytes: yields(archive()) });
    const { filename, filepath } = await backupOf(bed, source);
    expect(await verify(bed, filename, 'contents')).toMatchObject({
      valid: true,
      detail: '2 entries with 3 B of data, as written',
    });
    await writeFile(join(home.path, 'a'), 'two');
    const stored = gzipSync(archive());
    await writeFile(filepath, stored);
    const hash = createHash('sha256').update(stored).digest('hex');
    const change = (manifest: Manifest) => ({ ...manifest, hash, size: stored.length });
    await bed.context.catalogue.update(filename, change, NO_ABORT);
    expect(await verify(bed, filename, 'contents')).toMatchObject({ valid: false });
  });
});

describe('no verdict', () => {
  test('is given when the check was cancelled, and the manifest stays as it is', async () => {
    const bed = await openTestLocation();
    const manifest = await backupOf(bed);
    const reason = new BackupError('CANCELLED', 'stopped');
    const signal = AbortSignal.abort(reason);
    await expect(verifyArchive(bed.context, manifest.filename, 'contents', SCOPE, signal)).rejects.toBe(
      reason,
    );
    expect(bed.context.catalogue.find(manifest.filename)?.verification).toEqual(manifest.verification);
  });

  test('is given when a program that is needed is missing', async () => {
    const bed = await openTestLocation();
    const manifest = await backupOf(bed);
    const missing = new BackupError('TOOL_MISSING', 'pg_restore was not found');
    const openInspector = async () => {
      throw missing;
    };
    const other = await openTestLocation({ root: bed.root, openInspector });
    await expect(verify(other, manifest.filename, 'contents')).rejects.toBe(missing);
    expect(bed.context.catalogue.find(manifest.filename)?.verification).toEqual(manifest.verification);
    expect((await verify(other, manifest.filename, 'checksum')).valid).toBe(true);
  });

  test('is given about what is no backup', async () => {
    const bed = await openTestLocation();
    for (const filename of ['../../etc/passwd', 'db_backup_app_20261120_120015.sql.gz']) {
      await expect(verify(bed, filename, 'contents')).rejects.toMatchObject({ code: 'ARCHIVE_UNKNOWN' });
    }
  });
});

test('an archive that was cut says by how much', async () => {
  const bed = await openTestLocation();
  const { filename, filepath, size } = await backupOf(bed);
  await writeFile(filepath, (await readFile(filepath)).subarray(0, -1));
  const { detail } = await verify(bed, filename, 'checksum');
  expect(detail).toBe(`${size - 1} bytes are stored, ${size} were written`);
});

test('a disk that cannot read the bytes any more is a fault of the archive', async () => {
  const bed = await openTestLocation();
  const { filename } = await backupOf(bed);
  const other = await openTestLocation({
    root: bed.root,
    wrapStore: (store) =>
      withFaults(store, {
        get: async function* () {
          yield Buffer.from([0x1f, 0x8b]);
          throw Object.assign(new Error('EIO: i/o error, read'), { code: 'EIO' });
        },
      }),
  });
  expect(await verify(other, filename, 'contents')).toMatchObject({
    valid: false,
    detail: expect.stringContaining('EIO') as string,
  });
});

function flip(stored: Buffer, at: number): Buffer {
  const copy = Buffer.from(stored);
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
  return copy;
}
