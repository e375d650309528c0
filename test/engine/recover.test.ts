import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RunStarted } from '../../src/domain/journal-entry.ts';
import { takeInventory } from '../../src/engine/inventory.ts';
import { recover } from '../../src/engine/recover.ts';
import { NO_ABORT, withFaults } from '../support/fakes.ts';
import { addRecorded, daily, journalEntries } from '../support/stock.ts';
import { namesIn } from '../support/temp-directory.ts';
import { openTestLocation } from '../support/test-location.ts';

const STARTED: RunStarted = {
  event: 'started',
  at: '2026-11-20T02:00:00.000Z',
  run: 'r',
  job: 'nightly',
  trigger: 'schedule',
  actor: 'daemon',
  sources: ['app'],
};

describe('recovery at the start of a daemon', () => {
  test('closes runs that died, and only those', async () => {
    const bed = await openTestLocation();
    const due = '2026-11-20T02:00:00.000Z';
    await bed.context.journal.append({ ...STARTED, run: 'dead', due });
    await bed.context.journal.append({ ...STARTED, run: 'alive', job: 'other' });
    await using _running = await bed.location.lock('job.other', NO_ABORT, 0);
    await recover(bed.context, NO_ABORT);
    expect((await journalEntries(bed)).slice(2)).toMatchObject([
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
    expect(await journalEntries(bed)).toHaveLength(3);
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
    await addRecorded(bed, 1, 2);
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
    await addRecorded(bed, 1);
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
