import { expect, test } from 'vitest';
import type { RunEnded } from '../../src/domain/journal-entry.ts';
import { Unrecorded } from '../../src/notify/unrecorded.ts';

function entry(nth: number): RunEnded {
  return {
    event: 'ended',
    at: '2026-11-20T12:00:15.000Z',
    run: `run-${nth}`,
    job: 'app',
    trigger: 'schedule',
    actor: 'daemon',
    outcome: 'failed',
    duration_ms: 1,
    archives: [],
    errors: [],
  };
}

function runsOf(unrecorded: Unrecorded, notifier: string): string[] {
  return [...(unrecorded.queuesOf([notifier]).get(notifier)?.entries ?? [])].map(
    (each) => (each as RunEnded).run,
  );
}

test('of more than a thousand the one that may be being told stays, and the newest do', () => {
  const unrecorded = new Unrecorded();
  unrecorded.queuesOf(['ops']);
  for (let nth = 1; nth <= 1_010; nth += 1) unrecorded.add(entry(nth));
  const runs = runsOf(unrecorded, 'ops');
  expect(runs).toHaveLength(1_000);
  expect([runs[0], runs[1], runs.at(-1)]).toEqual(['run-1', 'run-12', 'run-1010']);
});

test('as many are kept before it is known who is to be told', () => {
  const unrecorded = new Unrecorded();
  for (let nth = 1; nth <= 1_010; nth += 1) unrecorded.add(entry(nth));
  expect(runsOf(unrecorded, 'ops')).toHaveLength(1_000);
});

test('what one notifier has been told, another is told all the same', () => {
  const unrecorded = new Unrecorded();
  unrecorded.add(entry(1));
  const queues = unrecorded.queuesOf(['ops', 'mails']);
  queues.get('ops')?.shift();
  unrecorded.add(entry(2));
  expect([...queues.values()].map(({ entries }) => entries.map((each) => (each as RunEnded).run))).toEqual([
    ['run-2'],
    ['run-1', 'run-2'],
  ]);
});
