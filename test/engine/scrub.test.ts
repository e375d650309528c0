import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import { parseJournalLine } from '../../src/domain/journal-entry.ts';
import { scrub, type ScrubRequest } from '../../src/engine/scrub.ts';
import { NO_ABORT, withFaults } from '../support/fakes.ts';
import { addBackup, daily } from '../support/stock.ts';
import { openTestLocation, type TestLocation, type TestLocationOptions } from '../support/test-location.ts';

function request(share: number): ScrubRequest {
  return { share, trigger: 'schedule', actor: 'daemon' };
}

/** Archives that were verified last on the given days. */
async function locationWith(
  verified: Record<string, number>,
  options: TestLocationOptions = {},
): Promise<TestLocation> {
  const bed = await openTestLocation(options);
  for (const [filename, day] of Object.entries(verified)) {
    const at = `2026-11-${String(day).padStart(2, '0')}T02:00:00.000Z`;
    await addBackup(bed, filename, { verification: { level: 'contents', ok: true, at, detail: '' } });
  }
  return bed;
}

async function lastEntry({ location }: TestLocation) {
  const lines = (await readFile(location.journal, 'utf8')).trim().split('\n');
  return parseJournalLine(lines.at(-1) ?? '');
}

describe('a scrub', () => {
  test('verifies a share of the archives, the longest unverified first', async () => {
    const bed = await locationWith({ [daily(1)]: 9, [daily(2)]: 3, [daily(3)]: 7, [daily(4)]: 5 });
    const results = await scrub(bed.context, request(0.5), NO_ABORT);
    expect(results.map(({ filename }) => filename)).toEqual([daily(2), daily(4)]);
    expect(results.every(({ valid, level }) => valid && level === 'contents')).toBe(true);
    expect(bed.context.catalogue.find(daily(2))?.verification.at).toBe('2026-11-20T12:00:15.000Z');
    expect(await lastEntry(bed)).toMatchObject({ job: '@scrub', outcome: 'succeeded', errors: [] });
    bed.clock.advance(1_000);
    const next = await scrub(bed.context, request(0.5), NO_ABORT);
    expect(next.map(({ filename }) => filename)).toEqual([daily(3), daily(1)]);
  });

  test('takes a time later than the clock for none: a wrong clock wrote it', async () => {
    const bed = await locationWith({ [daily(1)]: 9, [daily(2)]: 3 });
    const at = '2031-01-01T02:00:00.000Z';
    await addBackup(bed, daily(3), { verification: { level: 'contents', ok: true, at, detail: '' } });
    const results = await scrub(bed.context, request(0.3), NO_ABORT);
    expect(results.map(({ filename }) => filename)).toEqual([daily(3)]);
  });

  test('takes at least one, however small the share, and none where there is none', async () => {
    const bed = await locationWith({ [daily(1)]: 1, [daily(2)]: 2, [daily(3)]: 3 });
    expect(await scrub(bed.context, request(0.01), NO_ABORT)).toHaveLength(1);
    const empty = await openTestLocation();
    expect(await scrub(empty.context, request(1), NO_ABORT)).toEqual([]);
  });

  test('that finds a fault records it, goes on, and failed', async () => {
    const bed = await locationWith({ [daily(1)]: 1, [daily(2)]: 2 });
    await writeFile(bed.location.archivePath('database', daily(1)), 'damaged');
    const results = await scrub(bed.context, request(1), NO_ABORT);
    expect(results.map(({ valid }) => valid)).toEqual([false, true]);
    expect(bed.context.catalogue.find(daily(1))?.verification.ok).toBe(false);
    expect(await lastEntry(bed)).toMatchObject({
      outcome: 'failed',
      errors: [{ code: 'ARCHIVE_CORRUPT', source: 'app' }],
    });
    expect(await bed.metric('cofre_verify_total', { result: 'fault' })).toBe(1);
    const alarms = bed.log.filter(({ level }) => level === 'error').map(({ msg }) => msg);
    expect(alarms).toEqual([expect.stringMatching(`^${daily(1)} is faulty: `)]);
  });

  test('that cannot check one archive says so and goes on with the others', async () => {
    let opened = 0;
    const bed = await locationWith(
      { [daily(1)]: 1, [daily(2)]: 2 },
      {
        wrapStore: (store) =>
          withFaults(store, {
            get: (key, signal) => {
              opened += 1;
              if (opened === 1) throw new BackupError('TOOL_MISSING', 'pg_restore was not found');
              return store.get(key, signal);
            },
          }),
      },
    );
    const results = await scrub(bed.context, request(1), NO_ABORT);
    expect(results.map(({ filename }) => filename)).toEqual([daily(2)]);
    expect(await lastEntry(bed)).toMatchObject({ outcome: 'failed', errors: [{ code: 'TOOL_MISSING' }] });
    expect(bed.context.catalogue.find(daily(1))?.verification.ok).toBe(true);
  });

  test('an archive pruned meanwhile is no fault of the scrub', async () => {
    const bed = await locationWith({ [daily(1)]: 1, [daily(2)]: 2 });
    const { catalogue } = bed.context;
    const read = catalogue.read.bind(catalogue);
    Object.defineProperty(catalogue, 'read', {
      value: async (filename: string) => {
        if (filename === daily(1)) throw new BackupError('ARCHIVE_UNKNOWN', 'gone');
        return await read(filename);
      },
    });
    expect(await scrub(bed.context, request(1), NO_ABORT)).toHaveLength(1);
    expect(await lastEntry(bed)).toMatchObject({ outcome: 'succeeded' });
  });

  test('that is cancelled says so', async () => {
    const bed = await locationWith({ [daily(1)]: 1 });
    const signal = AbortSignal.abort(new BackupError('CANCELLED', 'stopped'));
    expect(await scrub(bed.context, request(1), signal)).toEqual([]);
    expect(await lastEntry(bed)).toMatchObject({ outcome: 'cancelled' });
  });
});
