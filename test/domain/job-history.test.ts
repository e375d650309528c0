import { describe, expect, test } from 'vitest';
import { Histories, type JobHistory } from '../../src/domain/job-history.ts';
import type { JournalEntry, RunEnded, RunStarted } from '../../src/domain/journal-entry.ts';

const DUE = '2026-11-20T02:00:00.000Z';
const NEXT = '2026-11-21T02:00:00.000Z';

function started(run: string, facts: Partial<RunStarted> = {}): RunStarted {
  return {
    event: 'started',
    at: DUE,
    run,
    job: 'app',
    trigger: 'schedule',
    actor: 'daemon',
    sources: [],
    ...facts,
  };
}

function ended(run: string, facts: Partial<RunEnded> = {}): RunEnded {
  return {
    event: 'ended',
    at: DUE,
    run,
    job: 'app',
    trigger: 'schedule',
    actor: 'daemon',
    outcome: 'succeeded',
    duration_ms: 5,
    archives: [],
    errors: [],
    ...facts,
  };
}

function fold(...entries: JournalEntry[]): JobHistory {
  const histories = new Histories();
  for (const entry of entries) histories.add(entry);
  return histories.of('app');
}

const INTERRUPTED: Partial<RunEnded> = {
  outcome: 'failed',
  errors: [{ code: 'INTERRUPTED', message: 'died' }],
};

describe('the history of a job', () => {
  test('a job nothing is recorded of has an empty one', () => {
    expect(fold()).toMatchObject({ seen: undefined, lastDue_ms: undefined, attempts: 0, open: [] });
  });

  test('a run without an end is open, and an attempt at its due time', () => {
    const history = fold(started('a', { due: DUE }));
    expect(history).toMatchObject({ lastDue_ms: Date.parse(DUE), attempts: 1, lastDueEnded: false });
    expect(history.open.map(({ run }) => run)).toEqual(['a']);
  });

  test('a run that ended, well or not, answers its due time', () => {
    for (const outcome of ['succeeded', 'incomplete', 'failed', 'skipped'] as const) {
      const history = fold(started('a', { due: DUE }), ended('a', { due: DUE, outcome }));
      expect(history).toMatchObject({ lastDueEnded: true, open: [] });
    }
  });

  test('a run that died or was cancelled does not, and a second attempt counts as such', () => {
    const died = fold(started('a', { due: DUE }), ended('a', { due: DUE, ...INTERRUPTED }));
    expect(died).toMatchObject({ attempts: 1, lastDueEnded: false });
    const again = fold(
      started('a', { due: DUE }),
      ended('a', { due: DUE, ...INTERRUPTED }),
      started('b', { due: DUE }),
      ended('b', { due: DUE, outcome: 'cancelled' }),
    );
    expect(again).toMatchObject({ attempts: 2, lastDueEnded: false });
  });

  test('a later due time starts the attempts anew', () => {
    const history = fold(
      started('a', { due: DUE }),
      ended('a', { due: DUE, ...INTERRUPTED }),
      started('b', { due: NEXT }),
    );
    expect(history).toMatchObject({ attempts: 1, lastDue_ms: Date.parse(NEXT), lastDueEnded: false });
  });

  test('the end of a long run does not undo that a later due time was skipped meanwhile', () => {
    const history = fold(
      started('a', { due: DUE }),
      ended('skip', { due: NEXT, outcome: 'skipped' }),
      ended('a', { due: DUE, outcome: 'cancelled' }),
    );
    expect(history).toMatchObject({ lastDue_ms: Date.parse(NEXT), lastDueEnded: true });
  });

  test('a run someone asked for has no due time and changes none', () => {
    const history = fold(started('a', { due: DUE }), started('b'), ended('b'));
    expect(history).toMatchObject({ attempts: 1, lastDueEnded: false });
    expect(history.lastSuccess?.run).toBe('b');
  });

  test('a new schedule settles the due times of the old one and keeps the successes', () => {
    const seen = { event: 'scheduled', at: DUE, job: 'app', schedule: '@daily', timezone: 'UTC' } as const;
    const history = fold(started('a', { due: DUE }), ended('a'), started('b', { due: DUE }), seen);
    expect(history).toMatchObject({ seen, lastDue_ms: undefined, attempts: 0, lastDueEnded: true });
    expect(history.lastSuccess?.run).toBe('a');
  });

  test('skipped runs are no last run, incomplete ones no success', () => {
    const history = fold(
      ended('a'),
      ended('b', { outcome: 'incomplete' }),
      ended('c', { outcome: 'skipped' }),
    );
    expect(history.lastEnded?.run).toBe('b');
    expect(history.lastSuccess?.run).toBe('a');
  });

  test('the usual duration is taken from the last 20 successes', () => {
    const ends = Array.from({ length: 25 }, (_, index) => ended(String(index), { duration_ms: index }));
    expect(fold(...ends).durations_ms).toEqual(Array.from({ length: 20 }, (_, index) => index + 5));
  });
});

test('archives are those that runs added and nothing removed since', () => {
  const histories = new Histories();
  histories.add(ended('a', { archives: ['one', 'two'] }));
  histories.add(ended('p', { job: '@prune', removed: ['one'] }));
  expect([...histories.archives]).toEqual(['two']);
  expect(histories.names()).toEqual(['app', '@prune']);
});
