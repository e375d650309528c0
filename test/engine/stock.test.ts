import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type JournalEntry, parseJournalLine } from '../../src/domain/journal-entry.ts';
import { checkLocation, checkSources } from '../../src/engine/check.ts';
import { deleteArchive } from '../../src/engine/delete.ts';
import { takeInventory } from '../../src/engine/inventory.ts';
import { recover } from '../../src/engine/recover.ts';
import { BackupError } from '../../src/domain/errors.ts';
import { FakeSource, fault, NO_ABORT, withFaults } from '../support/fakes.ts';
import { addBackup, daily } from '../support/stock.ts';
import { namesIn } from '../support/temp-directory.ts';
import { openTestLocation, testJob, type TestLocation } from '../support/test-location.ts';

const ALICE = { trigger: 'cli', actor: 'cli:alice' } as const;
const RUN = { run: 'r', job: 'nightly', trigger: 'schedule', actor: 'daemon' } as const;

function ended(archives: string[], facts: Partial<JournalEntry> = {}): JournalEntry {
  return {
    event: 'ended',
    at: '2026-11-19T02:00:00.000Z',
    ...RUN,
    outcome: 'succeeded',
    duration_ms: 1,
    archives,
    errors: [],
    ...facts,
  } as JournalEntry;
}

/** A backup that the journal knows of. */
async function recorded(bed: TestLocation, ...days: number[]): Promise<void> {
  for (const day of days) await addBackup(bed, daily(day));
  await bed.context.journal.append(ended(days.map((day) => daily(day))));
}

async function entriesOf({ location }: TestLocation): Promise<(JournalEntry | undefined)[]> {
  const text = await readFile(location.journal, 'utf8').catch(() => '');
  return text.split('\n').filter(Boolean).map(parseJournalLine);
}

async function lose({ location }: TestLocation, day: number): Promise<void> {
  await rm(location.archivePath('database', daily(day)));
  await rm(location.manifestPath(daily(day)));
}

describe('deleting one backup', () => {
  test('removes it and is recorded with who asked', async () => {
    const bed = await openTestLocation();
    await recorded(bed, 1, 2);
    await deleteArchive(bed.context, daily(1), ALICE, NO_ABORT);
    expect(await namesIn(join(bed.root, 'database'))).toEqual([daily(2)]);
    expect(await namesIn(bed.location.manifests)).toEqual([`${daily(2)}.json`]);
    expect((await entriesOf(bed)).at(-1)).toMatchObject({
      event: 'ended',
      job: '@delete',
      ...ALICE,
      outcome: 'succeeded',
      removed: [daily(1)],
    });
    expect(await takeInventory(bed.context)).toEqual([]);
  });

  test('is refused for a pinned one', async () => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(1), { pinned: true });
    await expect(deleteArchive(bed.context, daily(1), ALICE, NO_ABORT)).rejects.toMatchObject({
      code: 'ARCHIVE_PINNED',
      hint: expect.stringContaining('unpin') as string,
    });
    expect(bed.context.catalogue.find(daily(1))).toBeDefined();
    expect(await entriesOf(bed)).toEqual([]);
  });

  test.each(['../../etc/passwd', '../database/x', 'nothing', daily(9)])('of %j is an error', async (filename) => {
    const bed = await openTestLocation();
    await recorded(bed, 1);
    await expect(deleteArchive(bed.context, filename, ALICE, NO_ABORT)).rejects.toMatchObject({
      code: 'ARCHIVE_UNKNOWN',
    });
    expect(await entriesOf(bed)).toHaveLength(1);
  });

  test('that was lost by other means strikes it off, so that it is no longer missed', async () => {
    const bed = await openTestLocation();
    await recorded(bed, 1);
    await lose(bed, 1);
    expect(await takeInventory(bed.context)).toMatchObject([{ filename: daily(1), kind: 'lost' }]);
    await deleteArchive(bed.context, daily(1), ALICE, NO_ABORT);
    expect(await takeInventory(bed.context)).toEqual([]);
    await expect(deleteArchive(bed.context, daily(1), ALICE, NO_ABORT)).rejects.toMatchObject({
      code: 'ARCHIVE_UNKNOWN',
    });
  });

  test('whose archive is gone already removes its manifest', async () => {
    const bed = await openTestLocation();
    await recorded(bed, 1);
    await rm(bed.location.archivePath('database', daily(1)));
    await deleteArchive(bed.context, daily(1), ALICE, NO_ABORT);
    expect(await namesIn(bed.location.manifests)).toEqual([]);
  });
});

describe('the inventory', () => {
  test('of a location in order is empty', async () => {
    const bed = await openTestLocation();
    await recorded(bed, 1, 2);
    expect(await takeInventory(bed.context)).toEqual([]);
  });

  test('names orphans, unreadable manifests and what is lost, each once', async () => {
    const bed = await openTestLocation();
    await recorded(bed, 1, 2, 3, 4);
    await rm(bed.location.manifestPath(daily(1)));
    await writeFile(bed.location.manifestPath(daily(2)), 'damaged');
    await lose(bed, 3);
    await rm(bed.location.manifestPath(daily(4)));
    await mkdir(bed.location.manifestPath(daily(4)));
    const faults = await takeInventory(bed.context);
    expect(faults.map(({ filename, kind }) => [filename, kind])).toEqual([
      [daily(1), 'orphan'],
      [daily(2), 'manifest'],
      [daily(4), 'manifest'],
      [daily(3), 'lost'],
    ]);
  });

  test('verify silent when a whole backup directory is gone: not here', async () => {
    const bed = await openTestLocation();
    await recorded(bed, 1, 2);
    for (const name of ['database', 'manifests']) {
      await rm(join(bed.root, name), { recursive: true });
      await mkdir(join(bed.root, name));
    }
    const faults = await takeInventory(bed.context);
    expect(faults.map(({ kind }) => kind)).toEqual(['lost', 'lost']);
  });

  test('does not miss what was pruned, nor a deletion that is under way', async () => {
    const bed = await openTestLocation();
    await recorded(bed, 1, 2);
    await lose(bed, 1);
    await bed.context.journal.append(ended([], { job: '@prune', removed: [daily(1)] }));
    const path = bed.location.manifestPath(daily(2));
    await rename(path, `${path}.deleting`);
    expect(await takeInventory(bed.context)).toEqual([]);
  });
});

describe('recovery at the start of a daemon', () => {
  test('closes runs that died, and only those', async () => {
    const bed = await openTestLocation();
    const started = { event: 'started', at: '2026-11-20T02:00:00.000Z', ...RUN, sources: ['app'] } as const;
    const due = '2026-11-20T02:00:00.000Z';
    await bed.context.journal.append({ ...started, run: 'dead', due });
    await bed.context.journal.append({ ...started, run: 'alive', job: 'other' });
    await using _running = await bed.location.lock('job.other', NO_ABORT, 0);
    await recover(bed.context, NO_ABORT);
    expect((await entriesOf(bed)).slice(2)).toMatchObject([
      {
        event: 'ended',
        run: 'dead',
        due,
        outcome: 'failed',
        duration_ms: 36_015_000,
        errors: [{ code: 'INTERRUPTED' }],
      },
    ]);
    expect(bed.context.journal.histories.of('other').open).toHaveLength(1);
    await recover(bed.context, NO_ABORT);
    expect(await entriesOf(bed)).toHaveLength(3);
  });

  test('sweeps partials of sources that nobody captures, and temporary files', async () => {
    const bed = await openTestLocation();
    const partial = (source: string) => join(bed.root, 'database', `.${daily(1, source)}.partial`);
    await writeFile(partial('app'), 'x');
    await writeFile(partial('busy'), 'x');
    await writeFile(join(bed.location.manifests, `.${daily(1)}.json.77.tmp`), 'x');
    await using _capturing = await bed.location.lock('run.busy', NO_ABORT, 0);
    await recover(bed.context, NO_ABORT);
    expect(await namesIn(join(bed.root, 'database'))).toEqual([`.${daily(1, 'busy')}.partial`]);
    expect(await namesIn(bed.location.manifests)).toEqual([]);
  });

  test('finishes deletions, and records them', async () => {
    const bed = await openTestLocation();
    await recorded(bed, 1, 2);
    const path = bed.location.manifestPath(daily(1));
    await rename(path, `${path}.deleting`);
    await recover(bed.context, NO_ABORT);
    expect(await namesIn(join(bed.root, 'database'))).toEqual([daily(2)]);
    expect(await namesIn(bed.location.manifests)).toEqual([`${daily(2)}.json`]);
    expect(await takeInventory(bed.context)).toEqual([]);
  });

  test('one archive that cannot be deleted does not keep the daemon from its start', async () => {
    const bed = await openTestLocation({
      wrapStore: (store) =>
        withFaults(store, {
          delete: async () => {
            throw Object.assign(new Error('EPERM: operation not permitted'), { code: 'EPERM' });
          },
        }),
    });
    await recorded(bed, 1);
    const path = bed.location.manifestPath(daily(1));
    await rename(path, `${path}.deleting`);
    await recover(bed.context, NO_ABORT);
    expect(bed.log.some(({ level, msg }) => level === 'error' && msg.includes('EPERM'))).toBe(true);
  });

  test('reports orphans, unreadable manifests and torn lines, and leaves them alone', async () => {
    const bed = await openTestLocation();
    await writeFile(join(bed.root, 'database', daily(1)), 'x');
    await writeFile(bed.location.manifestPath(daily(2)), 'damaged');
    await writeFile(bed.location.journal, '{"torn');
    await recover(bed.context, NO_ABORT);
    const said = bed.log.map(({ msg }) => msg).join('\n');
    expect(said).toContain(`${daily(1)} has no manifest`);
    expect(said).toContain(`the manifest of ${daily(2)} cannot be read`);
    expect(said).toMatch(/1 line\(s\) of the journal/);
    expect(await namesIn(join(bed.root, 'database'))).toEqual([daily(1)]);
    expect(await namesIn(bed.location.manifests)).toEqual([`${daily(2)}.json`]);
  });
});

describe('check', () => {
  test('of a location in order finds no fault', async () => {
    const bed = await openTestLocation();
    await recorded(bed, 1);
    const findings = await checkLocation(bed.context, NO_ABORT);
    expect(findings.length).toBeGreaterThan(0);
    expect(findings.every(({ severity }) => severity === 'info')).toBe(true);
  });

  test('tells what is lost, unreadable and orphaned, and a lack of space', async () => {
    const bed = await openTestLocation();
    await recorded(bed, 1);
    await lose(bed, 1);
    await addBackup(bed, daily(2), { size: 9e15 });
    await writeFile(bed.location.manifestPath(daily(3)), 'damaged');
    await writeFile(join(bed.root, 'database', daily(4)), 'x');
    const findings = await checkLocation(bed.context, NO_ABORT);
    const faults = findings.filter(({ severity }) => severity !== 'info');
    expect(faults.map(({ severity, code }) => `${severity} ${code}`).toSorted()).toEqual([
      'error ARCHIVE_MISSING',
      'error MANIFEST_CORRUPT',
      'error SPACE_LOW',
      'warning ARCHIVE_UNKNOWN',
    ]);
    for (const { hint } of faults) expect(hint).not.toBe('');
  });

  test('of the sources names each finding by job and source, and goes on after one that throws', async () => {
    const broken = new FakeSource({
      name: 'broken',
      preflight: () => {
        throw new BackupError('SERVER_AUTH', 'no', { hint: 'Look at the password.' });
      },
    });
    const sources = [broken, new FakeSource({ preflight: () => [fault('UNREADABLE', 'table a')] })];
    const findings = await checkSources([testJob({ sources })], NO_ABORT);
    expect(findings).toMatchObject([
      { severity: 'error', code: 'SERVER_AUTH', path: 'nightly.broken: database' },
      { severity: 'error', code: 'UNREADABLE', path: 'nightly.app: somewhere' },
    ]);
    expect(await checkSources([testJob()], NO_ABORT)).toMatchObject([{ severity: 'info', code: 'OK' }]);
  });
});
