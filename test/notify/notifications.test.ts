import { mkdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { RunEnded } from '../../src/domain/journal-entry.ts';
import { type Notice, TOPICS } from '../../src/domain/notice.ts';
import type { Overdue, Subscription } from '../../src/domain/notify-decision.ts';
import type { Notifier } from '../../src/domain/ports.ts';
import { DeliveryError } from '../../src/notify/delivery-error.ts';
import { Notifications, type NotificationsOptions } from '../../src/notify/notifications.ts';
import { NotifyEvents } from '../../src/notify/notify-events.ts';
import type { Subscriber } from '../../src/notify/teller.ts';
import { FakeClock, NO_ABORT } from '../support/fakes.ts';
import { NOW, openTestLocation, type TestLocation } from '../support/test-location.ts';
import { waitFor } from '../support/wait-for.ts';

const HOUR_MS = 3_600_000;

/** Takes every message unless it is told to refuse, and notes it. */
class Recipient implements Notifier {
  readonly id: string;
  readonly told: Notice[] = [];
  refuses = false;
  attempts = 0;

  constructor(id = 'ops') {
    this.id = id;
  }

  async notify(notice: Notice): Promise<void> {
    this.attempts += 1;
    if (this.refuses) throw new DeliveryError('gone', { hint: 'Look.' });
    this.told.push(notice);
  }

  get kinds(): string[] {
    return this.told.map(({ kind, run }) => `${kind} ${run ?? ''}`.trim());
  }
}

function subscriber(notifier: Notifier, facts: Partial<Subscription> = {}): Subscriber {
  const topics = new Set(TOPICS);
  return {
    notifier,
    subscription: { topics, starts: false, overdue: true, repeat_ms: 20 * HOUR_MS, ...facts },
  };
}

/** Notifications that run until they are stopped, or the test ends. */
function startTelling(
  bed: TestLocation,
  subscribers: Subscriber[],
  facts: Partial<NotificationsOptions> = {},
) {
  const silent = pino({ level: 'silent' });
  const notifications = new Notifications({
    context: bed.context,
    events: new NotifyEvents(silent, bed.metrics, bed.context.events),
    origin: { host: 'db1', location: bed.root },
    overdue: () => [],
    load: async () => subscribers,
    patience: { attempt_ms: 60_000, pauses_ms: [5_000] },
    drain_ms: 20_000,
    ...facts,
  });
  const stop = new AbortController();
  const running = notifications.run(stop.signal);
  const end = async () => {
    stop.abort();
    await running;
  };
  onTestFinished(end);
  return { notifications, end };
}

let count = 0;
function ended(bed: TestLocation, facts: Partial<RunEnded> = {}): RunEnded {
  count += 1;
  return {
    event: 'ended',
    at: bed.clock.now().toISOString(),
    run: `run-${count}`,
    job: 'app',
    trigger: 'schedule',
    actor: 'daemon',
    outcome: 'failed',
    duration_ms: 1_000,
    archives: [],
    errors: [],
    ...facts,
  };
}

async function journaled(bed: TestLocation, facts: Partial<RunEnded> = {}): Promise<RunEnded> {
  const entry = ended(bed, facts);
  await bed.context.journal.append(entry);
  return entry;
}

const succeeded = { outcome: 'succeeded' as const };
const people = { topics: new Set(['failure', 'recovered'] as const) };

async function bookmarksOf({
  location,
}: TestLocation): Promise<Record<string, { place: number; jobs: object }>> {
  const document = JSON.parse(await readFile(location.notifications, 'utf8')) as {
    notifiers: Record<string, { place: number; jobs: object }>;
  };
  return document.notifiers;
}

/** Once the notifications hold their lock and have made their bookmarks. */
async function made(bed: TestLocation, name = 'ops'): Promise<void> {
  await waitFor(`the bookmark of ${name}`, async () => (await bookmarksOf(bed))[name] !== undefined);
}

/** The clock moves on, in which what waits for a time wakes. */
async function pass(bed: TestLocation, ms: number): Promise<void> {
  await bed.clock.untilAsleep();
  bed.clock.advance(ms);
}

describe('what is told', () => {
  test('is what comes after the notifier, not what was before', async () => {
    const bed = await openTestLocation();
    await journaled(bed);
    const ops = new Recipient();
    startTelling(bed, [subscriber(ops)]);
    await made(bed);
    const { run } = await journaled(bed);
    await waitFor('the message', () => ops.told.length === 1);
    expect(ops.kinds).toEqual([`failure ${run}`]);
    expect(ops.told[0]).toMatchObject({ host: 'db1', location: bed.root, job: 'app' });
  });

  test('repeats after the interval, and recovers once', async () => {
    const bed = await openTestLocation();
    const ops = new Recipient();
    startTelling(bed, [subscriber(ops, people)]);
    await made(bed);
    for (let hour = 0; hour < 22; hour += 1) {
      await journaled(bed);
      bed.clock.advance(HOUR_MS);
    }
    await journaled(bed, succeeded);
    await journaled(bed, succeeded);
    await waitFor('all of it', () => ops.told.length === 3);
    expect(ops.told.map(({ kind, at }) => `${kind} ${at}`)).toEqual([
      'failure 2026-11-20T12:00:15.000Z',
      'failure 2026-11-21T08:00:15.000Z',
      'recovered 2026-11-21T10:00:15.000Z',
    ]);
  });

  test('is remembered over a restart: neither told again nor forgotten', async () => {
    const bed = await openTestLocation();
    const ops = new Recipient();
    const first = startTelling(bed, [subscriber(ops, people)]);
    await made(bed);
    const { run } = await journaled(bed);
    await waitFor('the failure', () => ops.told.length === 1);
    await first.end();
    const again = await openTestLocation({ root: bed.root, clock: bed.clock });
    await journaled(again);
    const late = await journaled(again, succeeded);
    const second = startTelling(again, [subscriber(ops, people)]);
    await waitFor('the recovery', () => ops.told.length === 2);
    await second.end();
    expect(ops.kinds).toEqual([`failure ${run}`, `recovered ${late.run}`]);
    expect(ops.told[1]).toMatchObject({ failing_since: NOW });
    expect(await bookmarksOf(bed)).toMatchObject({ ops: { jobs: {} } });
  });

  test('is behind the bookmark on disk as soon as it was told, so that a crash repeats the last message at most', async () => {
    const bed = await openTestLocation();
    const ops = new Recipient();
    startTelling(bed, [subscriber(ops, people)]);
    await made(bed);
    const { at } = await journaled(bed);
    const end = await bed.context.journal.end();
    await waitFor('the bookmark', async () => (await bookmarksOf(bed))['ops']?.place === end);
    expect(await bookmarksOf(bed)).toMatchObject({
      ops: { jobs: { app: { since: at, told: { failure: at } } } },
    });
    // What is not told moves nothing on disk: an idle daemon writes nothing.
    await journaled(bed, { job: 'other', outcome: 'skipped' });
    await bed.clock.untilAsleep();
    expect(await bookmarksOf(bed)).toMatchObject({ ops: { place: end } });
  });

  test('reaches each of several by themselves: one that refuses holds up none', async () => {
    const bed = await openTestLocation();
    const [ops, gone] = [new Recipient(), new Recipient('gone')];
    gone.refuses = true;
    startTelling(bed, [subscriber(gone), subscriber(ops)], { drain_ms: 0 });
    await made(bed);
    for (let nth = 0; nth < 3; nth += 1) await journaled(bed, { ...succeeded });
    await waitFor('the messages', () => ops.told.length === 3);
    expect(gone.attempts).toBe(1);
  });

  test('is not told of old times when a notifier was long out of use', async () => {
    const bed = await openTestLocation();
    const ops = new Recipient();
    const first = startTelling(bed, [subscriber(ops)]);
    await made(bed);
    await first.end();
    await journaled(bed);
    bed.clock.advance(8 * 24 * HOUR_MS);
    const { run } = await journaled(bed, { job: 'other' });
    startTelling(bed, [subscriber(ops)]);
    await waitFor('the message', () => ops.told.length === 1);
    expect(ops.kinds).toEqual([`failure ${run}`]);
  });

  test('of starts is told while they are news', async () => {
    const bed = await openTestLocation();
    const ops = new Recipient();
    const first = startTelling(bed, [subscriber(ops, { starts: true })]);
    await made(bed);
    await first.end();
    const begin = (run: string) =>
      bed.context.journal.append({
        event: 'started',
        at: bed.clock.now().toISOString(),
        run,
        job: 'app',
        trigger: 'cli',
        actor: 'me',
        sources: [],
      });
    await begin('old');
    bed.clock.advance(HOUR_MS);
    await begin('new');
    startTelling(bed, [subscriber(ops, { starts: true })]);
    await waitFor('the message', () => ops.told.length === 1);
    expect(ops.kinds).toEqual(['start new']);
  });
});

describe('a receiver that refuses', () => {
  test('is given up, counted, and told of the next failure whatever the interval', async () => {
    const bed = await openTestLocation();
    const ops = new Recipient();
    ops.refuses = true;
    startTelling(bed, [subscriber(ops, people)]);
    await made(bed);
    await journaled(bed);
    await waitFor('an attempt', () => ops.attempts === 1);
    await pass(bed, 5_000);
    await waitFor(
      'the last attempt',
      async () => (await bed.metric('cofre_notifications_total', { result: 'failed' })) === 1,
    );
    expect(ops.attempts).toBe(2);
    ops.refuses = false;
    const { run } = await journaled(bed);
    await waitFor('the message', () => ops.told.length === 1);
    expect(ops.kinds).toEqual([`failure ${run}`]);
  });

  test('gets one attempt each of what piles up behind', async () => {
    const bed = await openTestLocation();
    const ops = new Recipient();
    ops.refuses = true;
    startTelling(bed, [subscriber(ops)], { drain_ms: 0 });
    await made(bed);
    await journaled(bed, succeeded);
    await waitFor('an attempt', () => ops.attempts === 1);
    for (let nth = 0; nth < 5; nth += 1) await journaled(bed, succeeded);
    await pass(bed, 5_000);
    await waitFor(
      'all but the newest',
      async () => (await bed.metric('cofre_notifications_total', { result: 'failed' })) === 5,
    );
    await waitFor('the first attempt of the newest', () => ops.attempts >= 7);
    // Two of the first, one of each of the next four, and the newest has patience again.
    expect(ops.attempts).toBe(7);
  });

  test('that answers when all is stopped is told by the next', async () => {
    const bed = await openTestLocation();
    const ops = new Recipient();
    ops.refuses = true;
    const first = startTelling(bed, [subscriber(ops)], { drain_ms: 0 });
    await made(bed);
    const { run } = await journaled(bed);
    await waitFor('an attempt', () => ops.attempts === 1);
    await first.end();
    expect(await bed.metric('cofre_notifications_total', { result: 'failed' })).toBe(0);
    ops.refuses = false;
    startTelling(bed, [subscriber(ops)]);
    await waitFor('the message', () => ops.told.length === 1);
    expect(ops.kinds).toEqual([`failure ${run}`]);
  });
});

describe('several processes', () => {
  test('tell each message once', async () => {
    const bed = await openTestLocation();
    const other = await openTestLocation({ root: bed.root, clock: bed.clock });
    const ops = new Recipient();
    const first = startTelling(bed, [subscriber(ops)]);
    await made(bed);
    const second = startTelling(other, [subscriber(ops)]);
    await journaled(bed, succeeded);
    await journaled(other, succeeded);
    await waitFor('both', async () => {
      bed.clock.advance(2_000);
      return ops.told.length === 2;
    });
    await first.end();
    await journaled(other, succeeded);
    await waitFor('the third, by the other', () => ops.told.length === 3);
    await second.end();
    expect(new Set(ops.kinds).size).toBe(3);
  });

  test('of which one is a daemon leave it to the daemon, at once', async () => {
    const bed = await openTestLocation();
    const command = await openTestLocation({ root: bed.root, clock: bed.clock });
    await using _daemon = await bed.location.lock('daemon', NO_ABORT, 0);
    await using _notify = await bed.location.lock('notify', NO_ABORT, 0);
    const ops = new Recipient();
    // Longer than a test may take.
    const telling = startTelling(command, [subscriber(ops)], { lastWait_ms: 600_000 });
    await journaled(command);
    await telling.end();
    expect(ops.told).toEqual([]);
  });

  test('of which one is a command in a hurry: the other waits for it, and tells what it left', async () => {
    const bed = await openTestLocation();
    const ops = new Recipient();
    const lock = await bed.location.lock('notify', NO_ABORT, 0);
    const telling = startTelling(bed, [subscriber(ops)], { lastWait_ms: 20_000 });
    await journaled(bed);
    const end = telling.end();
    await lock[Symbol.asyncDispose]();
    await end;
    expect(ops.told).toHaveLength(1);
  });
});

describe('other notifiers', () => {
  test('take over at once; one of the same name goes on where it was', async () => {
    const bed = await openTestLocation();
    const [before, after, fresh] = [new Recipient(), new Recipient(), new Recipient('fresh')];
    const { notifications } = startTelling(bed, [subscriber(before)]);
    await made(bed);
    await journaled(bed);
    await waitFor('the first', () => before.told.length === 1);
    notifications.reconfigure(async () => [subscriber(after), subscriber(fresh)]);
    await made(bed, 'fresh');
    expect(await bed.metric('cofre_notifications_total', { notifier: 'fresh' })).toBe(0);
    const { run } = await journaled(bed, succeeded);
    await waitFor('both', () => after.told.length === 1 && fresh.told.length === 1);
    expect(after.kinds).toEqual([`recovered ${run}`]);
    expect(fresh.kinds).toEqual([`success ${run}`]);
    expect(before.told).toHaveLength(1);
  });
});

describe('a journal', () => {
  /** No plain file any more: nothing is written to it. */
  async function breakJournal({ location }: TestLocation): Promise<void> {
    await rm(location.journal, { force: true });
    await mkdir(location.journal);
  }

  async function unrecorded(bed: TestLocation): Promise<RunEnded> {
    const entry = ended(bed);
    await expect(bed.context.journal.append(entry)).rejects.toThrow();
    return entry;
  }

  test('that cannot be written is told from memory', async () => {
    const bed = await openTestLocation();
    const ops = new Recipient();
    startTelling(bed, [subscriber(ops)]);
    await made(bed);
    await breakJournal(bed);
    const { run } = await unrecorded(bed);
    await waitFor('the message', () => ops.told.length === 1);
    expect(ops.kinds).toEqual([`failure ${run}`]);
  });

  test('that cannot be written before anybody tells is told by whoever does', async () => {
    const bed = await openTestLocation();
    const ops = new Recipient();
    const mails = new Recipient('mails');
    const loading = Promise.withResolvers<Subscriber[]>();
    startTelling(bed, [], { load: async () => loading.promise });
    await bed.context.journal.end();
    await breakJournal(bed);
    const { run } = await unrecorded(bed);
    loading.resolve([subscriber(ops), subscriber(mails)]);
    await waitFor('both messages', () => ops.told.length + mails.told.length === 2);
    expect([...ops.kinds, ...mails.kinds]).toEqual([`failure ${run}`, `failure ${run}`]);
  });

  test('that could not be written for a while is told in the order of what happened', async () => {
    const bed = await openTestLocation();
    const ops = new Recipient();
    const loading = Promise.withResolvers<Subscriber[]>();
    startTelling(bed, [], { load: async () => loading.promise });
    await bed.context.journal.end();
    await breakJournal(bed);
    const failed = await unrecorded(bed);
    await rm(bed.location.journal, { recursive: true });
    bed.clock.advance(60_000);
    const well = await journaled(bed, succeeded);
    loading.resolve([subscriber(ops)]);
    await waitFor('both messages', () => ops.told.length === 2);
    expect(ops.kinds).toEqual([`failure ${failed.run}`, `recovered ${well.run}`]);
    expect((await bookmarksOf(bed))['ops']?.jobs).toEqual({});
  });

  test('that cannot be written while there are no notifiers is not told to those that come later', async () => {
    const bed = await openTestLocation();
    const ops = new Recipient();
    const { notifications } = startTelling(bed, []);
    await bed.context.journal.end();
    await breakJournal(bed);
    await unrecorded(bed);
    await rm(bed.location.journal, { recursive: true });
    bed.clock.advance(60_000);
    notifications.reconfigure(async () => [subscriber(ops)]);
    await made(bed);
    const { run } = await journaled(bed);
    await waitFor('a message', () => ops.told.length > 0);
    expect(ops.kinds).toEqual([`failure ${run}`]);
  });

  test('that cannot be written while the configuration is read again is told once it was', async () => {
    const bed = await openTestLocation();
    const ops = new Recipient();
    const mails = new Recipient('mails');
    const { notifications } = startTelling(bed, [subscriber(ops, { repeat_ms: 0 })], { drain_ms: 0 });
    await made(bed);
    await breakJournal(bed);
    ops.refuses = true;
    const before = await unrecorded(bed);
    await waitFor('an attempt', () => ops.attempts > 0);
    const loading = Promise.withResolvers<Subscriber[]>();
    const asked = Promise.withResolvers<void>();
    notifications.reconfigure(async () => {
      asked.resolve();
      return await loading.promise;
    });
    await asked.promise;
    const meanwhile = await unrecorded(bed);
    ops.refuses = false;
    loading.resolve([subscriber(ops, { repeat_ms: 0 }), subscriber(mails)]);
    await waitFor('the messages', () => ops.told.length === 2);
    expect(ops.kinds).toEqual([`failure ${before.run}`, `failure ${meanwhile.run}`]);
    // It is new, and was not there when they came.
    expect(mails.told).toEqual([]);
  });

  test('that cannot be read is complained of twice a minute, no more', async () => {
    const bed = await openTestLocation();
    startTelling(bed, [subscriber(new Recipient())]);
    await made(bed);
    await rm(bed.location.journal, { force: true });
    await mkdir(bed.location.journal);
    const complaints = () => bed.log.filter(({ step }) => step === 'notify').length;
    for (let passed_s = 0; passed_s < 60; passed_s += 2) await pass(bed, 2_000);
    await bed.clock.untilAsleep();
    expect(complaints()).toBe(2);
  });

  test.each([
    ['a shorter one', 1],
    ['a longer one', 30],
  ])('that was replaced by %s: only what is new in it is told', async (_, lines) => {
    const bed = await openTestLocation();
    const ops = new Recipient();
    const first = startTelling(bed, [subscriber(ops, { repeat_ms: 0 })]);
    await made(bed);
    for (let nth = 0; nth < 10; nth += 1) await journaled(bed);
    await waitFor('all', () => ops.told.length === 10);
    await first.end();
    const old = Array.from({ length: lines }, () => JSON.stringify(ended(bed)));
    await truncate(bed.location.journal);
    await writeFile(bed.location.journal, `${old.join('\n')}\n`);
    bed.clock.advance(1_000);
    const again = await openTestLocation({ root: bed.root, clock: bed.clock });
    const { run } = await journaled(again);
    startTelling(again, [subscriber(ops, { repeat_ms: 0 })]);
    await waitFor('the new one', () => ops.told.length > 10);
    expect(ops.kinds.slice(10)).toEqual([`failure ${run}`]);
  });
});

test.each(['{', '[]', '{"notifiers":{"ops":{"place":-1}}}', '{"notifiers":{"ops":7}}'])(
  'a state that says nothing, %s, is as if there were none',
  async (text) => {
    const bed = await openTestLocation();
    await journaled(bed);
    await writeFile(bed.location.notifications, text);
    const ops = new Recipient();
    startTelling(bed, [subscriber(ops)]);
    await waitFor('the bookmark', async () => {
      const known = await bookmarksOf(bed).catch(() => undefined);
      return known?.['ops']?.place !== undefined && known['ops'].place > 0;
    });
    const { run } = await journaled(bed);
    await waitFor('the message', () => ops.told.length === 1);
    expect(ops.kinds).toEqual([`failure ${run}`]);
  },
);

test('a job that is overdue is told once it has had the time to be made up for', async () => {
  const bed = await openTestLocation({ clock: new FakeClock(NOW) });
  const ops = new Recipient();
  const late: Overdue[] = [{ job: 'app', since: '2026-11-20T02:00:00.000Z' }];
  startTelling(bed, [subscriber(ops, people)], { overdue: () => late });
  await made(bed);
  await bed.clock.untilAsleep();
  expect(ops.told).toEqual([]);
  await waitFor('the message', () => {
    bed.clock.advance(2_000);
    return ops.told.length === 1;
  });
  expect(ops.told[0]).toMatchObject({
    kind: 'failure',
    job: 'app',
    due: late[0]?.since,
    errors: [{ code: 'OVERDUE' }],
  });
  late.pop();
  await journaled(bed, succeeded);
  await waitFor('the end', () => ops.told.length === 2);
  expect(ops.told[1]).toMatchObject({ kind: 'recovered', failing_since: '2026-11-20T02:00:00.000Z' });
});
