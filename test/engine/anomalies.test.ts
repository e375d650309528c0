import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import type { Manifest } from '../../src/domain/manifest.ts';
import { dumpText, FakeSource, yields } from '../support/fakes.ts';
import { backUp, dumpOf, HALF } from '../support/shrinking.ts';
import { addBackup, daily, journalEntries } from '../support/stock.ts';
import { openTestLocation, type TestLocation } from '../support/test-location.ts';

const TOTAL = 'cofre_anomalies_total';

function stored({ location }: TestLocation, { filename }: Manifest): Promise<Manifest> {
  return readFile(location.manifestPath(filename), 'utf8').then((text) => JSON.parse(text) as Manifest);
}

function warnings({ log }: TestLocation): string[] {
  return log.filter(({ step, level }) => step === 'anomaly' && level === 'warn').map(({ msg }) => msg);
}

describe('a backup that lost most of its rows', () => {
  test('is a backup, with the anomaly in its manifest, in the log, in the journal and counted', async () => {
    const bed = await openTestLocation();
    const full = await backUp(bed, dumpOf(1000));
    expect(full).not.toHaveProperty('anomaly');
    const less = await backUp(bed, dumpOf(10));
    expect(less.anomaly).toEqual({
      baseline: full.filename,
      findings: [
        { kind: 'rows_down', detail: 'all tables: 1000 rows before, 10 now' },
        { kind: 'rows_down', detail: 'public.items: 1000 rows before, 10 now' },
        { kind: 'size_down', detail: expect.stringMatching(/KB of data before, .* B now$/) as string },
      ],
    });
    expect((await stored(bed, less)).anomaly).toEqual(less.anomaly);
    expect(warnings(bed)).toEqual([
      expect.stringMatching(`^${less.filename} holds less than ${full.filename}: all tables: 1000 rows`),
    ]);
    expect((await journalEntries(bed)).at(-1)).toMatchObject({
      outcome: 'succeeded',
      anomalies: [{ filename: less.filename, kinds: ['rows_down', 'size_down'] }],
    });
    // Two findings of a kind are one anomaly of that kind.
    expect(await bed.metric(TOTAL, { source: 'app', kind: 'rows_down' })).toBe(1);
    expect(await bed.metric(TOTAL, { source: 'app', kind: 'size_down' })).toBe(1);
    expect(await bed.metric(TOTAL, { source: 'app', kind: 'empty' })).toBeUndefined();
  });

  test('is counted the same after a restart, and by a daemon when a command took it', async () => {
    const bed = await openTestLocation();
    const daemon = await openTestLocation({ root: bed.root, clock: bed.clock });
    await backUp(bed, dumpOf(1000));
    await backUp(bed, dumpOf(10));
    for (const each of [daemon, await openTestLocation({ root: bed.root, clock: bed.clock })]) {
      await each.context.journal.refresh();
      await each.context.journal.refresh();
      expect(await each.metric(TOTAL, { kind: 'rows_down' })).toBe(1);
    }
  });

  test('stays an anomaly, against the same archive, until the data are back', async () => {
    const bed = await openTestLocation();
    const full = await backUp(bed, dumpOf(1000));
    for (const rows of [10, 10, 400]) {
      expect((await backUp(bed, dumpOf(rows))).anomaly?.baseline).toBe(full.filename);
    }
    expect(await bed.metric(TOTAL, { kind: 'rows_down' })).toBe(3);
    const back = await backUp(bed, dumpOf(600));
    expect(back).not.toHaveProperty('anomaly');
    expect((await backUp(bed, dumpOf(200))).anomaly?.baseline).toBe(back.filename);
  });

  test('is only compared when the job says so, and by its own shares', async () => {
    const bed = await openTestLocation();
    await backUp(bed, dumpOf(1000));
    expect(await backUp(bed, dumpOf(10), {})).not.toHaveProperty('anomaly');
    await backUp(bed, dumpOf(1000));
    expect(await backUp(bed, dumpOf(300), { anomaly: { rowsDown: 0.8, sizeDown: 0.8 } })).not.toHaveProperty(
      'anomaly',
    );
  });
});

test('a table that is gone is named', async () => {
  const bed = await openTestLocation();
  await backUp(bed, dumpText(['1\tone'], 'orders'));
  expect((await backUp(bed, dumpText(['1\tone'], 'other'))).anomaly?.findings).toEqual([
    { kind: 'table_gone', detail: 'public.orders: gone, it had 1 row' },
  ]);
});

test('another source is no baseline', async () => {
  const bed = await openTestLocation();
  await backUp(bed, dumpOf(1000));
  const sources = [new FakeSource({ name: 'other', bytes: yields(dumpOf(1)) })];
  expect(await backUp(bed, dumpOf(1), { anomaly: HALF, sources })).not.toHaveProperty('anomaly');
});

test.each<[string, Partial<Manifest>]>([
  [
    'does not verify',
    { verification: { level: 'contents', ok: false, at: '2026-11-19T02:00:00Z', detail: '' } },
  ],
  ['is incomplete', { incomplete: true }],
])('an archive that %s is no baseline: the one before it is', async (_, facts) => {
  const bed = await openTestLocation();
  const full = await backUp(bed, dumpOf(1000));
  await bed.context.catalogue.add(
    { ...full, filename: daily(30), timestamp: '20261130_020000', ...facts },
    new AbortController().signal,
  );
  bed.clock.set('2026-12-01T00:00:00Z');
  expect((await backUp(bed, dumpOf(1))).anomaly?.baseline).toBe(full.filename);
});

test('an archive dated later than the clock is no baseline', async () => {
  const bed = await openTestLocation();
  await addBackup(bed, daily(25));
  expect(await backUp(bed, dumpOf(0))).not.toHaveProperty('anomaly');
});

describe('a baseline whose manifest cannot be read', () => {
  test('is logged, and the one before it is taken', async () => {
    const bed = await openTestLocation();
    const first = await backUp(bed, dumpOf(1000));
    const second = await backUp(bed, dumpOf(1000));
    bed.context.catalogue.list();
    unreadable(bed, [second.filename]);
    const { anomaly } = await backUp(bed, dumpOf(1));
    expect(anomaly?.baseline).toBe(first.filename);
    expect(warnings(bed)[0]).toMatch(/cannot be compared with its series: it is torn/);
  });

  test('fails no backup when it is the only one', async () => {
    const bed = await openTestLocation();
    const first = await backUp(bed, dumpOf(1000));
    unreadable(bed, [first.filename]);
    expect(await backUp(bed, dumpOf(1))).not.toHaveProperty('anomaly');
    expect(warnings(bed)).toHaveLength(1);
  });

  test('fails no backup when the catalogue cannot even be listed at that moment', async () => {
    const bed = await openTestLocation();
    await backUp(bed, dumpOf(1000));
    const { catalogue } = bed.context;
    Object.defineProperty(catalogue, 'series', {
      value: () => {
        throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
      },
    });
    expect(await backUp(bed, dumpOf(1))).not.toHaveProperty('anomaly');
    expect(warnings(bed)[0]).toMatch(/EMFILE/);
  });

  test('is not listed at all when it is damaged on disk', async () => {
    const bed = await openTestLocation();
    const first = await backUp(bed, dumpOf(1000));
    const second = await backUp(bed, dumpOf(1000));
    await writeFile(bed.location.manifestPath(second.filename), '{');
    bed.clock.advance(20_000);
    expect((await backUp(bed, dumpOf(1))).anomaly?.baseline).toBe(first.filename);
  });
});

/** Makes reading these whole manifests fail, though they are listed. */
function unreadable({ context }: TestLocation, filenames: readonly string[]): void {
  const { catalogue } = context;
  const read = catalogue.read.bind(catalogue);
  Object.defineProperty(catalogue, 'read', {
    value: async (filename: string) => {
      if (filenames.includes(filename)) throw new Error('it is torn');
      return await read(filename);
    },
  });
}

test('an archive that is not named in the end is not told of', async () => {
  const bed = await openTestLocation();
  await backUp(bed, dumpOf(1000));
  Object.defineProperty(bed.context.catalogue, 'add', {
    value: async () => await Promise.reject(new Error('no space')),
  });
  await expect(backUp(bed, dumpOf(1))).rejects.toThrow('no space');
  expect(warnings(bed)).toEqual([]);
  expect(await bed.metric(TOTAL)).toBeUndefined();
});
