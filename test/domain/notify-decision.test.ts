import { describe, expect, test } from 'vitest';
import type { RunEnded } from '../../src/domain/journal-entry.ts';
import { TOPICS, type Topic } from '../../src/domain/notice.ts';
import {
  decideEnded,
  decideOverdue,
  decideStarted,
  type NotifierMemory,
  type Subscription,
} from '../../src/domain/notify-decision.ts';

const HOUR_MS = 3_600_000;
const START = Date.parse('2026-11-20T00:00:00.000Z');

function at(hours: number): string {
  return new Date(START + hours * HOUR_MS).toISOString();
}

function wants(topics: readonly Topic[] = TOPICS, facts: Partial<Subscription> = {}): Subscription {
  return { topics: new Set(topics), starts: false, overdue: true, repeat_ms: 20 * HOUR_MS, ...facts };
}

function ended(hours: number, facts: Partial<RunEnded> = {}): RunEnded {
  return {
    event: 'ended',
    at: at(hours),
    run: `run-${hours}`,
    job: 'app',
    trigger: 'schedule',
    actor: 'daemon',
    outcome: 'succeeded',
    duration_ms: 1_000,
    archives: [],
    errors: [],
    ...facts,
  };
}

const failed = (hours: number, facts: Partial<RunEnded> = {}) =>
  ended(hours, { outcome: 'failed', ...facts });

/** What is told of each entry, with a receiver that takes everything, or nothing. */
function tellAll(
  entries: readonly RunEnded[],
  subscription: Subscription,
  isTaken = true,
): { told: (Topic[] | undefined)[]; memory: NotifierMemory } {
  let memory: NotifierMemory = {};
  const told = entries.map((entry) => {
    const decision = decideEnded(memory, entry, subscription);
    memory = isTaken ? decision.told : decision.silent;
    return decision.tell?.topics;
  });
  return { told, memory };
}

const drilled = { drills: [{ filename: 'a', verdict: 'proven' as const, duration_ms: 1 }] };
const shrunk = { anomalies: [{ filename: 'a', kinds: ['empty' as const] }] };

describe('what goes for an entry', () => {
  test.each<[string, Partial<RunEnded>, Topic[] | undefined]>([
    ['a success', {}, ['success']],
    ['a failure', { outcome: 'failed' }, ['failure']],
    ['an incomplete run', { outcome: 'incomplete' }, ['incomplete']],
    ['a success with an anomaly', shrunk, ['anomaly', 'success']],
    ['a run that is drilled', drilled, ['drill', 'success']],
    ['a run whose drill failed', { outcome: 'failed', ...drilled }, ['failure', 'drill']],
    ['a cancelled run, which is made up for', { outcome: 'cancelled' }, undefined],
    ['a skipped due time, which overdue tells', { outcome: 'skipped' }, undefined],
    ['a prune that removed something', { job: '@prune', removed: ['a'] }, ['prune']],
    ['a prune that removed nothing', { job: '@prune', removed: [] }, undefined],
    ['a prune that failed', { job: '@prune', outcome: 'failed', removed: ['a'] }, ['failure', 'prune']],
    ['a scrub', { job: '@scrub' }, undefined],
    ['a scrub that failed', { job: '@scrub', outcome: 'failed' }, ['failure']],
    ['a drill', { job: '@drill', ...drilled }, ['drill']],
    ['a drill that failed', { job: '@drill.app', outcome: 'failed', ...drilled }, ['failure', 'drill']],
    ['a restore that failed, which somebody looks at', { job: '@restore', outcome: 'failed' }, undefined],
    ['a deletion', { job: '@delete', removed: ['a'] }, undefined],
    ['a rebuild', { job: '@rebuild' }, undefined],
  ])('%s', (_, facts, topics) => {
    expect(decideEnded({}, ended(0, facts), wants()).tell?.topics).toEqual(topics);
  });

  test('is told only where it is asked for', () => {
    const entry = ended(0, { ...shrunk, ...drilled });
    expect(decideEnded({}, entry, wants(['success'])).tell).toEqual({ kind: 'success', topics: ['success'] });
    expect(decideEnded({}, entry, wants(['drill', 'anomaly'])).tell).toEqual({
      kind: 'anomaly',
      topics: ['anomaly', 'drill'],
    });
    expect(decideEnded({}, entry, wants(['failure', 'prune'])).tell).toBeUndefined();
  });

  test.each([
    ['app', true],
    ['@drill.app', true],
    ['other', false],
    ['@drill.other', false],
    ['@prune', false],
    ['@drill', false],
  ])('of %s goes to who asked for the job app: %s', (job, isTold) => {
    const subscription = wants(TOPICS, { jobs: new Set(['app']) });
    expect(decideEnded({}, failed(0, { job }), subscription).tell !== undefined).toBe(isTold);
  });

  test('of a start goes to who asked for starts, and of jobs only', () => {
    const pings = wants(TOPICS, { starts: true });
    expect(decideStarted({}, { job: 'app' }, pings).tell).toEqual({ kind: 'start', topics: [] });
    expect(decideStarted({}, { job: '@prune' }, pings).tell).toBeUndefined();
    expect(decideStarted({}, { job: 'app' }, wants()).tell).toBeUndefined();
  });
});

describe('trouble that lasts', () => {
  const people = wants(['failure', 'incomplete', 'anomaly', 'recovered']);

  test('is told again after the interval and no sooner, and its end once', () => {
    const hours = [0, 1, 19.9, 20, 21, 39.9, 40.1];
    const entries = [...hours.map((hour) => failed(hour)), ended(41), ended(42)];
    expect(tellAll(entries, people)).toEqual({
      told: [
        ['failure'],
        undefined,
        undefined,
        ['failure'],
        undefined,
        undefined,
        ['failure'],
        ['recovered'],
        undefined,
      ],
      memory: {},
    });
  });

  test('of one job says nothing of another', () => {
    const other = { job: 'other' };
    const { told } = tellAll(
      [failed(0), failed(1, other), ended(2), failed(3, other), ended(4, other)],
      people,
    );
    expect(told).toEqual([['failure'], ['failure'], ['recovered'], undefined, ['recovered']]);
  });

  test('that comes back after its end is news', () => {
    const { told } = tellAll([failed(0), ended(1), failed(2), ended(3)], people);
    expect(told).toEqual([['failure'], ['recovered'], ['failure'], ['recovered']]);
  });

  test('names since when', () => {
    const { memory } = tellAll([failed(0), failed(1)], people);
    expect(decideEnded(memory, ended(2), people).tell).toMatchObject({ failing_since: at(0) });
    expect(decideEnded(memory, failed(30), people).tell).toMatchObject({ failing_since: at(0) });
  });

  test('that nobody could be told is told by the next failure', () => {
    expect(tellAll([failed(0), failed(1), ended(2)], people, false).told).toEqual([
      ['failure'],
      ['failure'],
      ['recovered'],
    ]);
  });

  test('is not over when an archive is incomplete, and an incomplete one is told beside a failure', () => {
    const incomplete = { outcome: 'incomplete' as const };
    const { told } = tellAll([failed(0), ended(1, incomplete), ended(2, incomplete), ended(3)], people);
    expect(told).toEqual([['failure'], ['incomplete'], undefined, ['recovered']]);
  });

  test('of incomplete archives alone ends for who asked for them only', () => {
    const entries = [ended(0, { outcome: 'incomplete' }), ended(1)];
    expect(tellAll(entries, people).told).toEqual([['incomplete'], ['recovered']]);
    expect(tellAll(entries, wants(['failure', 'recovered'])).told).toEqual([undefined, undefined]);
  });

  test('ends also for who asked for the end alone', () => {
    expect(tellAll([failed(0), failed(30), ended(31), ended(32)], wants(['recovered'])).told).toEqual([
      undefined,
      undefined,
      ['recovered'],
      undefined,
    ]);
  });

  test('an anomaly is repeated as failures are, and is news after an archive without one', () => {
    const { told } = tellAll(
      [ended(0, shrunk), ended(1, shrunk), ended(20, shrunk), ended(21), ended(22, shrunk)],
      people,
    );
    expect(told).toEqual([['anomaly'], undefined, ['anomaly'], undefined, ['anomaly']]);
  });

  test('drills by hand are each of another archive: all are told, and none is the end of another', () => {
    const drill = { job: '@drill', ...drilled };
    const { told, memory } = tellAll([failed(0, drill), failed(1, drill), ended(2, drill)], people);
    expect(told).toEqual([['failure'], ['failure'], undefined]);
    expect(memory).toEqual({});
  });

  test('a clock that was far ahead when it was told does not silence it', () => {
    const memory = { app: { since: at(0), told: { failure: at(24 * 365) } } };
    expect(decideEnded(memory, failed(1), people).tell?.topics).toEqual(['failure']);
  });

  test('an interval of nothing tells each', () => {
    const each = wants(['failure'], { repeat_ms: 0 });
    expect(tellAll([failed(0), failed(0), failed(0.001)], each).told).toEqual([
      ['failure'],
      ['failure'],
      ['failure'],
    ]);
  });

  test('the same entries give the same answers, so that they can be read again', () => {
    const entries = [failed(0), failed(1), ended(2, shrunk), failed(30)];
    expect(tellAll(entries, people)).toEqual(tellAll(entries, people));
  });
});

describe('a job that is overdue', () => {
  const people = wants(['failure', 'recovered']);
  const overdue = { job: 'app', since: at(0) };
  const decide = (memory: NotifierMemory, hours: number, subscription = people) =>
    decideOverdue(memory, overdue, new Date(at(hours)), subscription);

  test('is told as a failure, again after the interval, and its end once', () => {
    let memory: NotifierMemory = {};
    const told = [1, 1.001, 2, 20.9, 21, 22, 41].map((hours) => {
      const decision = decide(memory, hours);
      memory = decision.told;
      return decision.tell?.kind;
    });
    expect(told).toEqual(['failure', undefined, undefined, undefined, 'failure', undefined, 'failure']);
    expect(decideEnded(memory, ended(42), people)).toMatchObject({
      tell: { kind: 'recovered', failing_since: at(0) },
      told: {},
    });
  });

  test('says nothing new of a job whose runs fail daily and are told', () => {
    let memory: NotifierMemory = {};
    const told: string[] = [];
    for (let hours = 0; hours < 24 * 5; hours += 1) {
      const run = hours % 24 === 2 ? decideEnded(memory, failed(hours), people) : undefined;
      memory = run?.told ?? memory;
      const late = hours > 2 ? decide(memory, hours) : undefined;
      memory = late?.told ?? memory;
      if (run?.tell !== undefined) told.push(`run ${hours}`);
      if (late?.tell !== undefined) told.push(`overdue ${hours}`);
    }
    expect(told).toEqual(['run 2', 'run 26', 'run 50', 'run 74', 'run 98']);
  });

  test('is told when its runs failed once and then there were none', () => {
    const { told: memory } = decideEnded({}, failed(0), people);
    expect(decide(memory, 39).tell).toBeUndefined();
    expect(decide(memory, 40).tell?.failing_since).toBe(at(0));
  });

  test('that could not be told is tried again after an hour', () => {
    const { silent } = decide({}, 1);
    expect(decide(silent, 1.5).tell).toBeUndefined();
    expect(decide(silent, 2).tell?.kind).toBe('failure');
  });

  test('is told at most every hour, whatever the interval', () => {
    const each = wants(['failure'], { repeat_ms: 0 });
    const { told } = decide({}, 1, each);
    expect(decide(told, 1.9, each).tell).toBeUndefined();
    expect(decide(told, 2, each).tell?.kind).toBe('failure');
  });

  test.each([
    ['who did not ask for failures', wants(['success'])],
    ['a check, which notices by itself', wants(TOPICS, { overdue: false })],
    ['who asked for another job', wants(TOPICS, { jobs: new Set(['other']) })],
  ])('is not told to %s', (_, subscription) => {
    expect(decide({}, 1, subscription)).toEqual({ silent: {}, told: {} });
  });
});
