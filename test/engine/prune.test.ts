import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import { parseJournalLine } from '../../src/domain/journal-entry.ts';
import { acknowledge } from '../../src/engine/acknowledge.ts';
import { deleteArchive } from '../../src/engine/delete.ts';
import { type PolicyOf, prune, type PruneRequest } from '../../src/engine/prune.ts';
import { NO_ABORT, withFaults } from '../support/fakes.ts';
import { backUp, dumpOf } from '../support/shrinking.ts';
import { addBackup, daily, endedEntry } from '../support/stock.ts';
import { namesIn } from '../support/temp-directory.ts';
import { openTestLocation, type TestLocation } from '../support/test-location.ts';

const NONE = { days: 0, keepLast: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
/** Ten days and the last one; today is the 20th. */
const TEN_DAYS: PolicyOf = () => ({ policy: { ...NONE, days: 10, keepLast: 1 }, timezone: 'UTC' });

function request(facts: Partial<PruneRequest> = {}): PruneRequest {
  return { policyOf: TEN_DAYS, dryRun: false, force: false, trigger: 'schedule', actor: 'daemon', ...facts };
}

async function locationWith(days: readonly number[], source = 'app'): Promise<TestLocation> {
  const bed = await openTestLocation();
  for (const day of days) await addBackup(bed, daily(day, source));
  return bed;
}

function listed({ context }: TestLocation): string[] {
  return context.catalogue.list().map(({ filename }) => filename);
}

async function lastEntry({ location }: TestLocation) {
  const lines = (await readFile(location.journal, 'utf8')).trim().split('\n');
  return parseJournalLine(lines.at(-1) ?? '');
}

/** A location whose store does not delete one archive. */
async function undeletable(days: readonly number[], filename: string): Promise<TestLocation> {
  const bed = await openTestLocation({
    wrapStore: (store) =>
      withFaults(store, {
        delete: async (key) => {
          if (key.endsWith(filename)) {
            throw Object.assign(new Error('EPERM: operation not permitted'), { code: 'EPERM' });
          }
          await store.delete(key);
        },
      }),
  });
  for (const day of days) await addBackup(bed, daily(day));
  return bed;
}

describe('retention', () => {
  test('removes what no rule keeps, archive and manifest, and says why', async () => {
    const bed = await locationWith([2, 3, 12, 15, 19]);
    const result = await prune(bed.context, request(), NO_ABORT);
    expect(result).toMatchObject({ removed: [daily(2), daily(3)], errors: [], heldBack: [] });
    expect(listed(bed)).toEqual([daily(12), daily(15), daily(19)]);
    expect(await namesIn(join(bed.root, 'database'))).toEqual([daily(12), daily(15), daily(19)]);
    expect(await namesIn(bed.location.manifests)).toEqual([12, 15, 19].map((day) => `${daily(day)}.json`));
    expect(result.decisions).toHaveLength(5);
    for (const { reasons } of result.decisions) expect(reasons.length).toBeGreaterThan(0);
    expect(await lastEntry(bed)).toMatchObject({
      event: 'ended',
      job: '@prune',
      outcome: 'succeeded',
      removed: [daily(2), daily(3)],
    });
    expect(await bed.metric('cofre_pruned_total', { source: 'app' })).toBe(2);
  });

  test('of one source takes no notice of the others, and each goes by its own policy', async () => {
    const bed = await locationWith([1, 2, 19]);
    await addBackup(bed, daily(1, 'other'));
    await addBackup(bed, daily(19, 'other'));
    const policyOf: PolicyOf = (source) => ({
      policy: { ...NONE, keepLast: source === 'other' ? 5 : 2 },
      timezone: 'UTC',
    });
    await prune(bed.context, request({ policyOf }), NO_ABORT);
    expect(listed(bed).toSorted()).toEqual(
      [daily(1, 'other'), daily(19, 'other'), daily(2), daily(19)].toSorted(),
    );
  });

  test('a dry run says the same, removes nothing and leaves no trace', async () => {
    const bed = await locationWith([2, 3, 12, 15, 19]);
    const planned = await prune(bed.context, request({ dryRun: true }), NO_ABORT);
    expect(planned.removed).toEqual([]);
    expect(listed(bed)).toHaveLength(5);
    await expect(readFile(bed.location.journal)).rejects.toThrow('ENOENT');
    const done = await prune(bed.context, request(), NO_ABORT);
    expect(planned.decisions).toEqual(done.decisions);
  });

  test('age pruning after missed days left one backup: not here', async () => {
    // A series that stopped on the 5th, seen months later.
    const bed = await locationWith([1, 2, 3, 4, 5]);
    bed.clock.set('2027-04-01T00:00:00Z');
    const { removed } = await prune(bed.context, request(), NO_ABORT);
    expect(removed).toEqual([]);
    expect(listed(bed)).toHaveLength(5);
  });

  test('failed backups consumed keep-last-N: not here', async () => {
    const bed = await locationWith([1, 2]);
    for (const day of [18, 19]) {
      const at = '2026-11-19T02:00:00.000Z';
      await addBackup(bed, daily(day), { verification: { level: 'contents', ok: false, at, detail: 'x' } });
    }
    const policyOf: PolicyOf = () => ({ policy: { ...NONE, keepLast: 2 }, timezone: 'UTC' });
    await prune(bed.context, request({ policyOf }), NO_ABORT);
    expect(listed(bed)).toEqual([daily(1), daily(2), daily(18), daily(19)]);
  });

  test('does not take the newest complete archive for newer incomplete ones', async () => {
    const bed = await locationWith([1]);
    for (const day of [2, 3]) await addBackup(bed, daily(day), { incomplete: true });
    const policyOf: PolicyOf = () => ({ policy: { ...NONE, keepLast: 1 }, timezone: 'UTC' });
    await prune(bed.context, request({ policyOf }), NO_ABORT);
    expect(listed(bed)).toEqual([daily(1), daily(3)]);
  });

  test('leaves pinned archives alone', async () => {
    const bed = await locationWith([3, 12, 15, 19]);
    await addBackup(bed, daily(2), { pinned: true });
    await prune(bed.context, request(), NO_ABORT);
    expect(listed(bed)).toEqual([daily(2), daily(12), daily(15), daily(19)]);
  });

  test('leaves the archive from before an anomaly alone until someone acknowledges it', async () => {
    const bed = await openTestLocation();
    const full = await backUp(bed, dumpOf(1000));
    const shrunk = [];
    for (let at = 0; at < 3; at += 1) shrunk.push((await backUp(bed, dumpOf(10))).filename);
    const [, , newest = ''] = shrunk;
    const policyOf: PolicyOf = () => ({ policy: { ...NONE, keepLast: 1 }, timezone: 'UTC' });
    const planned = await prune(bed.context, request({ policyOf, dryRun: true }), NO_ABORT);
    expect(planned.decisions[0]).toEqual({
      filename: full.filename,
      action: 'keep',
      reasons: [`last archive from before the anomaly of ${newest}, which nobody has acknowledged`],
    });
    await prune(bed.context, request({ policyOf, force: true }), NO_ABORT);
    expect(listed(bed)).toEqual([full.filename, newest]);
    await acknowledge(bed.context, newest, 'cli:alice', NO_ABORT);
    await prune(bed.context, request({ policyOf }), NO_ABORT);
    expect(listed(bed)).toEqual([newest]);
  });

  test('and it can still be deleted by hand', async () => {
    const bed = await openTestLocation();
    const full = await backUp(bed, dumpOf(1000));
    const less = await backUp(bed, dumpOf(10));
    await deleteArchive(bed.context, full.filename, { trigger: 'cli', actor: 'cli:alice' }, NO_ABORT);
    expect(listed(bed)).toEqual([less.filename]);
    await prune(bed.context, request(), NO_ABORT);
    expect(listed(bed)).toEqual([less.filename]);
  });

  test('leaves alone what was pinned after it had decided', async () => {
    const bed = await locationWith([2, 12, 15, 19]);
    const { catalogue } = bed.context;
    const remove = catalogue.remove.bind(catalogue);
    Object.defineProperty(catalogue, 'remove', {
      value: async (...args: Parameters<typeof remove>) => {
        await catalogue.update(args[0], (manifest) => ({ ...manifest, pinned: true }), NO_ABORT);
        await remove(...args);
      },
    });
    const { removed } = await prune(bed.context, request(), NO_ABORT);
    expect(removed).toEqual([]);
    expect(listed(bed)).toContain(daily(2));
  });
});

describe('removing more than half of a series', () => {
  const days = [1, 2, 3, 4, 18, 19];

  test('in one go is held back, and is an error', async () => {
    const bed = await locationWith(days);
    await addBackup(bed, daily(2, 'other'));
    await addBackup(bed, daily(18, 'other'));
    const result = await prune(bed.context, request(), NO_ABORT);
    expect(result.heldBack).toHaveLength(1);
    expect(result.heldBack[0]).toMatch(/^app: .*4 of 6/);
    expect(result.errors).toMatchObject([{ code: 'PRUNE_HELD_BACK' }]);
    // The other series is not held up by it.
    expect(result.removed).toEqual([daily(2, 'other')]);
    expect(listed(bed)).toHaveLength(7);
    expect(await lastEntry(bed)).toMatchObject({ outcome: 'failed' });
    expect(await bed.metric('cofre_errors_total', { step: 'prune' })).toBe(1);
  });

  test('is done when it is forced', async () => {
    const bed = await locationWith(days);
    const result = await prune(bed.context, request({ force: true }), NO_ABORT);
    expect(result).toMatchObject({ errors: [], heldBack: [] });
    expect(listed(bed)).toEqual([daily(18), daily(19)]);
  });
});

describe('what could not be deleted', () => {
  test('a storage-delete error dropped the catalogue row anyway: it stays listed and is an error', async () => {
    const bed = await undeletable([2, 3, 12, 15, 19], daily(2));
    const result = await prune(bed.context, request(), NO_ABORT);
    expect(result.removed).toEqual([daily(3)]);
    expect(result.errors).toMatchObject([{ code: 'IO_FAILED' }]);
    expect(listed(bed)).toContain(daily(2));
    expect(await lastEntry(bed)).toMatchObject({ outcome: 'failed', removed: [daily(3)] });
    // And it is tried again.
    const again = await prune(bed.context, request(), NO_ABORT);
    expect(again.errors).toHaveLength(1);
  });

  test('because someone else deleted it meanwhile is no error', async () => {
    const bed = await locationWith([2, 12, 15, 19]);
    const { catalogue } = bed.context;
    const remove = catalogue.remove.bind(catalogue);
    Object.defineProperty(catalogue, 'remove', {
      value: async (...args: Parameters<typeof remove>) => {
        await remove(...args);
        await remove(...args);
      },
    });
    expect(await prune(bed.context, request(), NO_ABORT)).toMatchObject({ removed: [], errors: [] });
  });
});

test('an interrupted deletion is finished, and is recorded as removed', async () => {
  const bed = await locationWith([2, 19]);
  await bed.context.journal.append(endedEntry([daily(2)]));
  const path = bed.location.manifestPath(daily(2));
  await rename(path, `${path}.deleting`);
  await prune(bed.context, request(), NO_ABORT);
  expect(await namesIn(join(bed.root, 'database'))).toEqual([daily(19)]);
  expect(await namesIn(bed.location.manifests)).toEqual([`${daily(19)}.json`]);
  expect([...bed.context.journal.histories.archives]).toEqual([]);
});

test('a cancelled prune stops between two archives and says so', async () => {
  const bed = await locationWith([1, 2, 3, 15, 16, 17, 18, 19]);
  const controller = new AbortController();
  const { catalogue } = bed.context;
  const remove = catalogue.remove.bind(catalogue);
  Object.defineProperty(catalogue, 'remove', {
    value: async (...args: Parameters<typeof remove>) => {
      await remove(...args);
      controller.abort(new BackupError('CANCELLED', 'stopped'));
    },
  });
  const result = await prune(bed.context, request(), controller.signal);
  expect(result.removed).toEqual([daily(1)]);
  expect(await lastEntry(bed)).toMatchObject({
    outcome: 'cancelled',
    removed: [daily(1)],
    errors: [{ code: 'CANCELLED' }],
  });
  expect(await namesIn(bed.location.manifests)).not.toContain(`${daily(1)}.json.deleting`);
});

test('a prune waits for another one, and decides only then', async () => {
  const bed = await locationWith([2, 3, 12, 15, 19]);
  const lock = await bed.location.lock('job.@prune', NO_ABORT, 0);
  const pruning = prune(bed.context, request(), NO_ABORT);
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(listed(bed)).toHaveLength(5);
  await bed.context.catalogue.update(daily(2), (manifest) => ({ ...manifest, pinned: true }), NO_ABORT);
  await lock[Symbol.asyncDispose]();
  expect(await pruning).toMatchObject({ removed: [daily(3)], errors: [] });
});

test('two prunes at once take turns', async () => {
  const bed = await locationWith([2, 3, 12, 15, 19]);
  const other = await openTestLocation({ root: bed.root });
  const [one, two] = await Promise.all([
    prune(bed.context, request(), NO_ABORT),
    prune(other.context, request(), NO_ABORT),
  ]);
  expect([...one.removed, ...two.removed].toSorted()).toEqual([daily(2), daily(3)]);
  expect([...one.errors, ...two.errors]).toEqual([]);
});

test('archives whose manifest cannot be read are not touched', async () => {
  const bed = await locationWith([1, 12, 15, 19]);
  await writeFile(bed.location.manifestPath(daily(1)), 'damaged');
  await prune(bed.context, request({ force: true }), NO_ABORT);
  expect(await namesIn(join(bed.root, 'database'))).toContain(daily(1));
});

test('retain deleted the newest: an archive whose file is gone does not stand for the good ones', async () => {
  const bed = await openTestLocation();
  for (const day of [1, 2]) await addBackup(bed, daily(day));
  await rm(bed.location.archivePath('database', daily(2)));
  const policyOf: PolicyOf = () => ({ policy: { ...NONE, keepLast: 1 }, timezone: 'UTC' });
  const { removed } = await prune(bed.context, request({ policyOf }), NO_ABORT);
  expect(removed).toEqual([]);
  expect(await namesIn(join(bed.root, 'database'))).toEqual([daily(1)]);
});
