import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { RunQueue } from '../../src/daemon/run-queue.ts';
import { Scheduler } from '../../src/daemon/scheduler.ts';
import { parseCron } from '../../src/domain/cron.ts';
import { BackupError } from '../../src/domain/errors.ts';
import type { RunEnded } from '../../src/domain/journal-entry.ts';
import type { Outcome } from '../../src/domain/manifest.ts';
import { newRunId } from '../../src/engine/journaling.ts';
import { runJob } from '../../src/engine/run.ts';
import type { Occasion, ScheduledTask } from '../../src/engine/scheduled-task.ts';
import { FakeClock, FakeSource } from '../support/fakes.ts';
import { journalEntries } from '../support/stock.ts';
import { openTestLocation, testJob, type TestLocation } from '../support/test-location.ts';
import { waitFor } from '../support/wait-for.ts';

interface TaskFacts {
  name?: string;
  schedule?: string;
  timezone?: string;
  enabled?: boolean;
  catchUp?: boolean;
  jitter_ms?: number;
  run?: (occasion: Occasion, signal: AbortSignal) => Promise<Outcome>;
}

/** A task, and when it ran. */
class FakeTask implements ScheduledTask {
  readonly name: string;
  readonly enabled: boolean;
  readonly cron;
  readonly policy;
  readonly ran: string[] = [];
  readonly occasions: Occasion[] = [];
  readonly #run;

  constructor(facts: TaskFacts = {}) {
    const { name = 'nightly', schedule = '0 2 * * *', timezone = 'UTC', enabled = true } = facts;
    const parsed = parseCron(schedule, timezone);
    if (!parsed.ok) throw new Error(parsed.reason);
    this.name = name;
    this.enabled = enabled;
    this.cron = parsed.cron;
    this.policy = { catchUp: facts.catchUp ?? true, jitter_ms: facts.jitter_ms ?? 0 };
    this.#run = facts.run ?? (async () => 'succeeded' as const);
  }

  async run(occasion: Occasion, signal: AbortSignal): Promise<Outcome> {
    this.occasions.push(occasion);
    this.ran.push(`${occasion.trigger} ${occasion.due.toISOString()}`);
    return await this.#run(occasion, signal);
  }
}

/** Work that a test ends; `ends` is told the outcome. */
function held() {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  return { run: () => promise, end: (outcome: Outcome = 'succeeded') => resolve(outcome) };
}

/** Runs a real job of a fake source, journaled as the daemon does. */
function realRun(bed: TestLocation): NonNullable<TaskFacts['run']> {
  const job = testJob({ sources: [new FakeSource()] });
  return async ({ due, trigger, missed }, signal) => {
    const startedAt = bed.clock.now();
    const request = { run: newRunId(startedAt), startedAt, trigger, actor: 'daemon', due, missed };
    return (await runJob(bed.context, job, request, signal)).outcome;
  };
}

async function startScheduler(bed: TestLocation, tasks: readonly ScheduledTask[], concurrency = 4) {
  const queue = new RunQueue(concurrency);
  const scheduler = new Scheduler(bed.context, queue, tasks);
  const stop = new AbortController();
  const running = scheduler.run(stop.signal);
  onTestFinished(() => stop.abort());
  await bed.clock.untilAsleep();
  return {
    scheduler,
    queue,
    /** Moves the clock and lets the scheduler answer. */
    at: async (now: string) => {
      bed.clock.set(now);
      await bed.clock.untilAsleep();
    },
    stop: async () => {
      stop.abort();
      await running;
    },
  };
}

/** A daemon that starts anew at the same location. */
async function restarted(bed: TestLocation): Promise<TestLocation> {
  return await openTestLocation({ root: bed.root, clock: bed.clock });
}

function at(text: string): Promise<TestLocation> {
  return openTestLocation({ clock: new FakeClock(text) });
}

async function skipsOf(bed: TestLocation): Promise<RunEnded[]> {
  const entries = await journalEntries(bed);
  return entries.filter((entry) => entry?.event === 'ended' && entry.outcome === 'skipped') as RunEnded[];
}

afterEach(() => {
  vi.useRealTimers();
});

describe('a schedule', () => {
  test('fires on time, each due time once', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const task = new FakeTask();
    const { at: to } = await startScheduler(bed, [task]);
    for (const now of ['2026-11-21T01:59:59.999Z', '2026-11-21T02:00:00Z', '2026-11-21T02:00:20Z'])
      await to(now);
    expect(task.ran).toEqual(['schedule 2026-11-21T02:00:00.000Z']);
    await to('2026-11-22T02:00:00.004Z');
    expect(task.ran).toHaveLength(2);
  });

  test('of seconds fires every second', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const task = new FakeTask({ schedule: '* * * * * *' });
    const { at: to } = await startScheduler(bed, [task]);
    for (let second = 1; second <= 5; second += 1) await to(`2026-11-20T12:00:0${second}Z`);
    expect(task.ran).toHaveLength(5);
  });

  test('a new job waits for its first due time, also when it is seen again after a restart', async () => {
    const bed = await at('2026-11-20T02:00:30Z');
    const first = await startScheduler(bed, [new FakeTask()]);
    await first.stop();
    const later = await restarted(bed);
    const task = new FakeTask();
    const second = await startScheduler(later, [task]);
    await second.at('2026-11-20T23:00:00Z');
    expect(task.ran).toEqual([]);
    expect(await journalEntries(bed)).toEqual([
      {
        event: 'scheduled',
        at: '2026-11-20T02:00:30.000Z',
        job: 'nightly',
        schedule: '0 2 * * *',
        timezone: 'UTC',
      },
    ]);
    await second.at('2026-11-21T02:00:00Z');
    expect(task.ran).toHaveLength(1);
  });

  test('a disabled job never runs, and what passed meanwhile is not made up when it is enabled', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const off = new FakeTask({ enabled: false });
    const { scheduler, at: to } = await startScheduler(bed, [off]);
    await to('2026-11-23T12:00:00Z');
    expect(off.ran).toEqual([]);
    const on = new FakeTask();
    scheduler.replaceTasks([on]);
    await to('2026-11-23T12:00:30Z');
    expect(on.ran).toEqual([]);
    await to('2026-11-24T02:00:00Z');
    expect(on.ran).toEqual(['schedule 2026-11-24T02:00:00.000Z']);
  });

  test('a schedule that changed starts anew: its earlier due times are not made up', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const first = await startScheduler(bed, [new FakeTask()]);
    await first.stop();
    bed.clock.set('2026-11-23T12:00:00Z');
    const later = await restarted(bed);
    const changed = new FakeTask({ schedule: '0 11 * * *' });
    const second = await startScheduler(later, [changed]);
    await second.at('2026-11-24T10:59:00Z');
    expect(changed.ran).toEqual([]);
    await second.at('2026-11-24T11:00:00Z');
    expect(changed.ran).toHaveLength(1);
  });

  test('jitter delays the start, by the same after a restart', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const task = new FakeTask({ jitter_ms: 3_600_000 });
    const { at: to } = await startScheduler(bed, [task]);
    for (let minute = 0; minute < 60 && task.ran.length === 0; minute += 1) {
      await to(new Date(Date.parse('2026-11-21T02:00:00Z') + minute * 60_000).toISOString());
    }
    expect(task.ran).toEqual(['schedule 2026-11-21T02:00:00.000Z']);
    expect(bed.clock.now().getTime()).toBeGreaterThan(Date.parse('2026-11-21T02:00:00Z'));
  });
});

describe('missed and doubled runs', () => {
  test('runs missed while down are made up once, and the others are counted', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const first = await startScheduler(bed, [new FakeTask({ run: realRun(bed) })]);
    await first.stop();
    bed.clock.set('2026-11-24T12:00:00Z');
    const later = await restarted(bed);
    const task = new FakeTask({ run: realRun(later) });
    const second = await startScheduler(later, [task]);
    await second.queue.idle();
    await second.at('2026-11-24T12:00:30Z');
    await second.at('2026-11-24T20:00:00Z');
    expect(task.ran).toEqual(['catch-up 2026-11-24T02:00:00.000Z']);
    expect(task.occasions[0]?.missed).toBe(3);
    expect(await later.metric('cofre_job_missed_runs_total', { job: 'nightly' })).toBe(3);
    // Nor does a second restart make it up again.
    await second.stop();
    const last = new FakeTask();
    await startScheduler(await restarted(bed), [last]);
    expect(last.ran).toEqual([]);
  });

  test('runs missed while asleep are made up once, not once per miss, nor twice after the resume', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const task = new FakeTask({ schedule: '*/15 * * * *' });
    const { at: to } = await startScheduler(bed, [task]);
    await to('2026-11-20T15:05:00Z');
    expect(task.ran).toEqual(['catch-up 2026-11-20T15:00:00.000Z']);
    await to('2026-11-20T15:14:59Z');
    await to('2026-11-20T15:15:00Z');
    expect(task.ran).toHaveLength(2);
  });

  test('without catchUp the miss is journaled and counted, and the next due time runs', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const task = new FakeTask({ catchUp: false });
    const { at: to } = await startScheduler(bed, [task]);
    await to('2026-11-22T12:00:00Z');
    expect(task.ran).toEqual([]);
    const skips = await skipsOf(bed);
    expect(skips).toMatchObject([
      { due: '2026-11-22T02:00:00.000Z', missed: 2, errors: [{ code: 'SKIPPED' }] },
    ]);
    expect(await bed.metric('cofre_job_missed_runs_total')).toBe(2);
    await to('2026-11-23T02:00:00Z');
    expect(task.ran).toHaveLength(1);
  });

  test('a crash does not loop: after two attempts that died the next due time is waited for', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    await (await startScheduler(bed, [new FakeTask()])).stop();
    bed.clock.set('2026-11-21T02:00:00Z');
    const ran: string[][] = [];
    for (let attempt = 1; attempt <= 4; attempt += 1) {
      const again = await restarted(bed);
      // It dies: a start without an end.
      const task = new FakeTask({
        run: async ({ due }) => {
          await again.context.journal.append({
            event: 'started',
            at: again.clock.now().toISOString(),
            run: `dead-${attempt}`,
            job: 'nightly',
            trigger: 'schedule',
            actor: 'daemon',
            due: due.toISOString(),
            sources: [],
          });
          return 'cancelled';
        },
      });
      const { queue, stop } = await startScheduler(again, [task]);
      await queue.idle();
      await stop();
      ran.push(task.ran.map((text) => text.split(' ')[1] ?? ''));
      bed.clock.advance(1_000);
    }
    const due = '2026-11-21T02:00:00.000Z';
    expect(ran).toEqual([[due], [due], [], []]);
    expect(await skipsOf(bed)).toHaveLength(1);
  });

  test('a run cancelled by a shutdown is made up after the next start', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const bed = await at('2026-11-20T12:00:00Z');
    const interrupted = new FakeTask({
      run: async (_, signal) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        return 'cancelled';
      },
    });
    const { at: to, stop } = await startScheduler(bed, [interrupted]);
    await to('2026-11-21T02:00:00Z');
    const stopped = stop();
    await vi.advanceTimersByTimeAsync(4_000);
    await stopped;
    vi.useRealTimers();
    bed.clock.set('2026-11-21T06:00:00Z');
    const task = new FakeTask();
    await startScheduler(await restarted(bed), [task]);
    expect(task.ran).toEqual(['catch-up 2026-11-21T02:00:00.000Z']);
  });
});

describe('a job never overlaps itself', () => {
  test('the skip is journaled and counted, and the run goes on', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const work = held();
    const task = new FakeTask({ schedule: '0 * * * *', run: work.run });
    const { scheduler, at: to, queue } = await startScheduler(bed, [task]);
    await to('2026-11-20T13:00:00Z');
    expect([...scheduler.running()]).toEqual(['nightly']);
    await to('2026-11-20T14:00:00Z');
    expect(task.ran).toHaveLength(1);
    expect(await skipsOf(bed)).toMatchObject([
      {
        due: '2026-11-20T14:00:00.000Z',
        errors: [{ message: expect.stringContaining('under way') as string }],
      },
    ]);
    expect(await bed.metric('cofre_runs_total', { outcome: 'skipped' })).toBe(1);
    expect(await bed.metric('cofre_job_missed_runs_total', { job: 'nightly' })).toBe(1);
    work.end();
    await queue.idle();
    expect([...scheduler.running()]).toEqual([]);
    await to('2026-11-20T14:30:00Z');
    expect(task.ran).toHaveLength(1);
    await to('2026-11-20T15:00:00Z');
    expect(task.ran).toHaveLength(2);
  });

  test('other jobs wait for their turn, in order, when only one may run', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const order: string[] = [];
    const works = ['a', 'b', 'c'].map((name) => {
      const work = held();
      const run = async () => {
        order.push(name);
        return await work.run();
      };
      return { ...work, task: new FakeTask({ name, run }) };
    });
    const { scheduler, at: to } = await startScheduler(
      bed,
      works.map(({ task }) => task),
      1,
    );
    await to('2026-11-21T02:00:00Z');
    expect(order).toEqual(['a']);
    // Those that wait count as running: they are not due again.
    expect([...scheduler.running()]).toEqual(['a', 'b', 'c']);
    for (const work of works) {
      work.end();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(order).toEqual(['a', 'b', 'c']);
  });
});

describe('a clock that jumps', () => {
  test('backwards by less than an hour runs nothing twice', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const task = new FakeTask({ schedule: '*/15 * * * *' });
    const { at: to } = await startScheduler(bed, [task]);
    await to('2026-11-20T12:15:00Z');
    await to('2026-11-20T12:30:00Z');
    await to('2026-11-20T12:05:00Z');
    await to('2026-11-20T12:15:00Z');
    await to('2026-11-20T12:30:00Z');
    expect(task.ran).toHaveLength(2);
    await to('2026-11-20T12:45:00Z');
    expect(task.ran).toHaveLength(3);
  });

  test('forwards by years and back again does not silence a job', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const task = new FakeTask({ run: realRun(bed) });
    const { at: to, queue, stop } = await startScheduler(bed, [task]);
    for (const now of ['2031-01-01T00:00:00Z', '2026-11-20T12:10:00Z', '2026-11-21T02:00:00Z']) {
      await to(now);
      await queue.idle();
    }
    expect(task.ran).toEqual(['catch-up 2030-12-31T02:00:00.000Z', 'schedule 2026-11-21T02:00:00.000Z']);
    expect(bed.log.some(({ msg }) => msg.includes('the clock was set back'))).toBe(true);
    await stop();
    // What was learnt is kept over a restart.
    const again = new FakeTask();
    const second = await startScheduler(await restarted(bed), [again]);
    await second.at('2026-11-21T12:00:00Z');
    expect(again.ran).toEqual([]);
    await second.at('2026-11-22T02:00:00Z');
    expect(again.ran).toEqual(['schedule 2026-11-22T02:00:00.000Z']);
  });
});

describe('schedules through both changes of the clocks', () => {
  const QUARTER_MS = 15 * 60_000;

  /** The due times that a task answered while the clock went from one time to another, by quarters of an hour. */
  async function through(schedule: string, timezone: string, from: string, to: string): Promise<string[]> {
    const bed = await at(from);
    const task = new FakeTask({ schedule, timezone });
    const scheduler = await startScheduler(bed, [task]);
    for (let now = Date.parse(from) + QUARTER_MS; now <= Date.parse(to); now += QUARTER_MS) {
      await scheduler.at(new Date(now).toISOString());
    }
    expect(await skipsOf(bed)).toEqual([]);
    expect(task.ran.every((text) => text.startsWith('schedule '))).toBe(true);
    return task.occasions.map(({ due }) => due.toISOString().slice(0, 16));
  }

  test.each([
    // Lisbon skips 01:00-02:00 on 28 March 2027, and has it twice on 25 October 2026.
    [
      '30 1 * * *',
      'Europe/Lisbon',
      '2027-03-27',
      ['2027-03-27T01:30', '2027-03-28T01:00', '2027-03-29T00:30'],
    ],
    [
      '30 1 * * *',
      'Europe/Lisbon',
      '2026-10-24',
      ['2026-10-24T00:30', '2026-10-25T00:30', '2026-10-26T01:30'],
    ],
    // New York skips 02:00-03:00 on 14 March 2027, and has 01:00-02:00 twice on 1 November 2026.
    [
      '30 2 * * *',
      'America/New_York',
      '2027-03-13',
      ['2027-03-13T07:30', '2027-03-14T07:00', '2027-03-15T06:30'],
    ],
    [
      '30 1 * * *',
      'America/New_York',
      '2026-10-31',
      ['2026-10-31T05:30', '2026-11-01T05:30', '2026-11-02T06:30'],
    ],
  ])('%s in %s from %s runs once a day', async (schedule, timezone, day, expected) => {
    const end = new Date(Date.parse(`${day}T00:00:00Z`) + 3 * 86_400_000).toISOString();
    expect(await through(schedule, timezone, `${day}T00:00:00Z`, end)).toEqual(expected);
  });

  test.each([
    ['Europe/Lisbon', '2027-03-28T00:00:00Z'],
    ['Europe/Lisbon', '2026-10-25T00:00:00Z'],
    ['America/New_York', '2027-03-14T05:00:00Z'],
    ['America/New_York', '2026-11-01T04:00:00Z'],
  ])('an hourly one in %s from %s runs every hour that really passes', async (timezone, from) => {
    const end = new Date(Date.parse(from) + 6 * 3_600_000).toISOString();
    expect(await through('0 * * * *', timezone, from, end)).toHaveLength(6);
  });
});

describe('a reload', () => {
  test('leaves a run under way to its end, and takes the new tasks over at once', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const work = held();
    const old = new FakeTask({ run: work.run });
    const { scheduler, at: to, queue } = await startScheduler(bed, [old]);
    await to('2026-11-21T02:00:00Z');
    const other = new FakeTask({ name: 'other', schedule: '*/30 * * * *' });
    scheduler.replaceTasks([other]);
    await to('2026-11-21T02:00:10Z');
    await to('2026-11-21T02:30:00Z');
    expect(other.ran).toEqual(['schedule 2026-11-21T02:30:00.000Z']);
    expect(scheduler.running().has('nightly')).toBe(true);
    work.end();
    await queue.idle();
    await to('2026-11-22T02:00:00Z');
    expect(old.ran).toHaveLength(1);
  });

  test('of a job that is running does not let it overlap itself', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const work = held();
    const { scheduler, at: to } = await startScheduler(bed, [new FakeTask({ run: work.run })]);
    await to('2026-11-21T02:00:00Z');
    const changed = new FakeTask({ schedule: '*/30 * * * *' });
    scheduler.replaceTasks([changed]);
    await to('2026-11-21T02:00:10Z');
    await to('2026-11-21T02:30:00Z');
    expect(changed.ran).toEqual([]);
    expect(await skipsOf(bed)).toHaveLength(1);
    work.end();
  });

  test('that comes while an earlier one is being taken over is not forgotten', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const { journal } = bed.context;
    const append = journal.append.bind(journal);
    const { scheduler, at: to } = await startScheduler(bed, [new FakeTask()]);
    const last = new FakeTask({ name: 'last' });
    Object.defineProperty(journal, 'append', {
      value: async (...args: Parameters<typeof append>) => {
        if (args[0].job === 'second') scheduler.replaceTasks([last]);
        await append(...args);
      },
    });
    scheduler.replaceTasks([new FakeTask({ name: 'second' })]);
    await waitFor('the reload', () => journal.histories.of('last').seen !== undefined);
    await to('2026-11-21T02:00:00Z');
    expect(last.ran).toHaveLength(1);
  });
});

describe('a shutdown', () => {
  test('lets a run that is nearly done end, and never starts a queued one', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const work = held();
    const first = new FakeTask({ name: 'first', run: work.run });
    const queued = new FakeTask({ name: 'queued' });
    const { at: to, stop } = await startScheduler(bed, [first, queued], 1);
    await to('2026-11-21T02:00:00Z');
    const stopping = stop();
    work.end();
    await stopping;
    expect(queued.ran).toEqual([]);
    // It has no trace in the journal, so that the next start makes it up.
    const later = await restarted(bed);
    bed.clock.advance(600_000);
    const again = new FakeTask({ name: 'queued' });
    await startScheduler(later, [again]);
    expect(again.ran).toEqual(['catch-up 2026-11-21T02:00:00.000Z']);
  });

  test('cancels a run that goes on, and waits until it has stopped', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const bed = await at('2026-11-20T12:00:00Z');
    let reason: unknown;
    let hasStopped = false;
    const task = new FakeTask({
      run: async (_, signal) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        reason = signal.reason;
        await new Promise((resolve) => setImmediate(resolve));
        hasStopped = true;
        return 'cancelled';
      },
    });
    const { at: to, stop } = await startScheduler(bed, [task]);
    await to('2026-11-21T02:00:00Z');
    const stopping = stop();
    await vi.advanceTimersByTimeAsync(3_000);
    expect(reason).toBeUndefined();
    await vi.advanceTimersByTimeAsync(1_500);
    await stopping;
    expect(reason).toMatchObject({ code: 'CANCELLED' });
    expect(hasStopped).toBe(true);
  });
});

describe('trouble', () => {
  test('a tick that throws does not end the schedule', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const { journal } = bed.context;
    const refresh = journal.refresh.bind(journal);
    let isBroken = false;
    Object.defineProperty(journal, 'refresh', {
      value: async () => {
        if (isBroken) throw new BackupError('IO_FAILED', 'the disk went away');
        await refresh();
      },
    });
    const task = new FakeTask();
    const { at: to } = await startScheduler(bed, [task]);
    isBroken = true;
    await to('2026-11-21T02:00:00Z');
    expect(task.ran).toEqual([]);
    expect(await bed.metric('cofre_errors_total', { step: 'schedule' })).toBe(1);
    isBroken = false;
    await to('2026-11-21T02:00:30Z');
    expect(task.ran).toEqual(['schedule 2026-11-21T02:00:00.000Z']);
  });

  test('a task that throws is told, and is free for its next due time', async () => {
    const bed = await at('2026-11-20T12:00:00Z');
    const task = new FakeTask({
      run: async () => {
        throw new Error('a bug');
      },
    });
    const { at: to, queue } = await startScheduler(bed, [task]);
    await to('2026-11-21T02:00:00Z');
    await queue.idle();
    expect(await bed.metric('cofre_errors_total', { step: 'run' })).toBe(1);
    await to('2026-11-22T02:00:00Z');
    expect(task.ran).toHaveLength(2);
  });
});
