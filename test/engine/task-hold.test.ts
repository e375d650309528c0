import { describe, expect, test } from 'vitest';
import type { RunStarted } from '../../src/domain/journal-entry.ts';
import { drill } from '../../src/engine/drill.ts';
import { recover } from '../../src/engine/recover.ts';
import { holdTask } from '../../src/engine/task-hold.ts';
import { NO_ABORT } from '../support/fakes.ts';
import { journalEntries } from '../support/stock.ts';
import { openTestLocation } from '../support/test-location.ts';

const STARTED: RunStarted = {
  event: 'started',
  at: '2026-11-20T02:00:00.000Z',
  run: 'r',
  job: '@drill',
  trigger: 'cli',
  actor: 'cli:alice',
  sources: [],
};

describe('a task that several processes may be at', () => {
  test('is held by all of them at once, and their runs are dead to nobody', async () => {
    const bed = await openTestLocation();
    const other = await openTestLocation({ root: bed.root });
    await using _first = await holdTask(bed.context, '@drill', NO_ABORT);
    await bed.context.journal.append(STARTED);
    await using _second = await holdTask(other.context, '@drill', NO_ABORT);
    await other.context.journal.append({ ...STARTED, run: 'second' });
    const daemon = await openTestLocation({ root: bed.root });
    await recover(daemon.context, NO_ABORT);
    expect(await journalEntries(bed)).toHaveLength(2);
  });

  test('has the runs of the dead closed by whoever comes next, once nobody is at it', async () => {
    const bed = await openTestLocation();
    await bed.context.journal.append({ ...STARTED, run: 'dead' });
    await bed.context.journal.append({ ...STARTED, run: 'elsewhere', job: '@restore' });
    {
      await using _alive = await bed.location.lockShared('job.@drill', NO_ABORT, 0);
      await using _held = await holdTask(bed.context, '@drill', NO_ABORT);
      expect(await journalEntries(bed)).toHaveLength(2);
    }
    await using _held = await holdTask(bed.context, '@drill', NO_ABORT);
    expect((await journalEntries(bed)).slice(2)).toMatchObject([
      { event: 'ended', run: 'dead', outcome: 'failed', errors: [{ code: 'INTERRUPTED' }] },
    ]);
  });

  test('is done where nothing can be locked, and ended by an abort', async () => {
    const bed = await openTestLocation();
    const readOnly = {
      ...bed.context,
      location: Object.assign(Object.create(bed.location) as typeof bed.location, {
        lockShared: async () => await Promise.reject(new Error('EROFS')),
      }),
    };
    await using _held = await holdTask(readOnly, '@drill', NO_ABORT);
    const reason = new Error('enough');
    await expect(holdTask(readOnly, '@drill', AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

test('a drill is done although what earlier ones left cannot be looked at', async () => {
  const sweepScratch = async () => await Promise.reject(new Error('the scratch server is away'));
  const bed = await openTestLocation({ restoring: { sweepScratch } });
  const request = { task: '@drill', filenames: [], trigger: 'cli' as const, actor: 'test' };
  expect(await drill(bed.context, request, NO_ABORT)).toEqual([]);
  expect(bed.log.map(({ msg }) => msg)).toContain('the scratch server is away');
  expect((await journalEntries(bed)).at(-1)).toMatchObject({ event: 'ended', outcome: 'succeeded' });
});
