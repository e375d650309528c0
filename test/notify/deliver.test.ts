import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import type { Notice } from '../../src/domain/notice.ts';
import type { Notifier } from '../../src/domain/ports.ts';
import { Events } from '../../src/engine/events.ts';
import { Metrics } from '../../src/engine/metrics.ts';
import { deliver } from '../../src/notify/deliver.ts';
import { DeliveryError } from '../../src/notify/delivery-error.ts';
import { NotifyEvents } from '../../src/notify/notify-events.ts';
import { FakeClock, NO_ABORT } from '../support/fakes.ts';
import { testNotice } from '../support/notices.ts';

const passing = new DeliveryError('busy', { hint: 'Wait.' });
const final = new DeliveryError('refused', { hint: 'Look.', isFinal: true });

/** Fails as often as there are faults, then takes. */
class Scripted implements Notifier {
  readonly id = 'ops';
  readonly attempts: { notice: Notice; at: string }[] = [];
  readonly #clock: FakeClock;
  readonly #faults: Error[];

  constructor(clock: FakeClock, faults: Error[]) {
    this.#clock = clock;
    this.#faults = faults;
  }

  async notify(notice: Notice): Promise<void> {
    this.attempts.push({ notice, at: this.#clock.now().toISOString().slice(11, 19) });
    const fault = this.#faults.shift();
    if (fault !== undefined) throw fault;
  }
}

function bed(faults: Error[]) {
  const clock = new FakeClock('2026-11-24T02:00:00.000Z');
  const log: { level: string; msg: string; attempt?: number; code?: string }[] = [];
  const metrics = new Metrics();
  const logger = pino(
    { formatters: { level: (level) => ({ level }) } },
    { write: (line: string) => log.push(JSON.parse(line) as (typeof log)[number]) },
  );
  const events = new NotifyEvents(logger, metrics, new Events(logger, metrics));
  const patience = { attempt_ms: 60_000, pauses_ms: [5_000, 30_000] };
  const notifier = new Scripted(clock, faults);
  events.opened(notifier.id);
  const counted = async () => {
    const { values } = await metrics.notifications.get();
    return Object.fromEntries(values.map(({ labels, value }) => [String(labels['result']), value]));
  };
  const send = (signal: AbortSignal = NO_ABORT) =>
    deliver({ clock, events, patience }, notifier, testNotice(), signal);
  return { clock, log, notifier, counted, send };
}

describe('a message', () => {
  test('that is taken at once is sent once', async () => {
    const { notifier, counted, send, log } = bed([]);
    expect(await counted()).toEqual({ sent: 0, failed: 0 });
    expect(await send()).toBe('sent');
    expect(notifier.attempts).toHaveLength(1);
    expect(await counted()).toEqual({ sent: 1, failed: 0 });
    expect(log).toMatchObject([{ level: 'info', msg: 'ops was told: app failure' }]);
  });

  test('is tried again after longer and longer pauses, until it is taken', async () => {
    const { clock, notifier, counted, send, log } = bed([passing, passing]);
    const sending = send();
    await clock.untilAsleep();
    clock.advance(4_999);
    await clock.untilAsleep();
    expect(notifier.attempts).toHaveLength(1);
    clock.advance(1);
    await clock.untilAsleep();
    clock.advance(30_000);
    expect(await sending).toBe('sent');
    expect(notifier.attempts.map(({ at }) => at)).toEqual(['02:00:00', '02:00:05', '02:00:35']);
    expect(await counted()).toEqual({ sent: 1, failed: 0 });
    expect(log.map(({ level, attempt }) => [level, attempt])).toEqual([
      ['warn', 1],
      ['warn', 2],
      ['info', undefined],
    ]);
  });

  test('is given up when patience ends, which is logged and counted', async () => {
    const { clock, notifier, counted, send, log } = bed([passing, passing, passing, passing]);
    const sending = send();
    for (const pause_ms of [5_000, 30_000]) {
      await clock.untilAsleep();
      clock.advance(pause_ms);
    }
    expect(await sending).toBe('failed');
    expect(notifier.attempts).toHaveLength(3);
    expect(await counted()).toEqual({ sent: 0, failed: 1 });
    expect(log.at(-1)).toMatchObject({
      level: 'error',
      code: 'NOTIFY_FAILED',
      msg: 'ops was not told: app failure: busy',
      hint: 'Wait.',
    });
  });

  test('that is refused for good is not tried again', async () => {
    const { notifier, counted, send } = bed([final]);
    expect(await send()).toBe('failed');
    expect(notifier.attempts).toHaveLength(1);
    expect(await counted()).toEqual({ sent: 0, failed: 1 });
  });

  test('is left for later when the work is stopped between two attempts, and does not count', async () => {
    const { clock, counted, send, log } = bed([passing]);
    const stop = new AbortController();
    const sending = send(stop.signal);
    await clock.untilAsleep();
    stop.abort();
    expect(await sending).toBe('stopped');
    expect(await counted()).toEqual({ sent: 0, failed: 0 });
    expect(log.at(-1)).toMatchObject({ level: 'warn', msg: expect.stringContaining('told later') as string });
  });

  test('is not tried before the receiver asks for it, nor for longer than without', async () => {
    const busy = new DeliveryError('busy', { hint: 'Wait.', retryAfter_ms: 3_600_000 });
    const { clock, notifier, send } = bed([busy, busy]);
    const sending = send();
    await clock.untilAsleep();
    clock.advance(34_999);
    await clock.untilAsleep();
    expect(notifier.attempts).toHaveLength(1);
    clock.advance(1);
    expect(await sending).toBe('failed');
    expect(notifier.attempts.map(({ at }) => at)).toEqual(['02:00:00', '02:00:35']);
  });

  test('does not wait for a clock that was set back', async () => {
    const { clock, send, notifier } = bed([passing]);
    const sending = send();
    await clock.untilAsleep();
    clock.advance(-3_600_000);
    expect(await sending).toBe('sent');
    expect(notifier.attempts).toHaveLength(2);
  });

  test('that some got is not taken for told to nobody, and counts as failed', async () => {
    const { counted, send, notifier } = bed([
      new DeliveryError('refused 1 of 2', { hint: 'Look.', isFinal: true, isPartial: true }),
    ]);
    expect(await send()).toBe('sent');
    expect(notifier.attempts).toHaveLength(1);
    expect(await counted()).toEqual({ sent: 0, failed: 1 });
  });

  test('of a notifier with a fault of its own is tried again, too', async () => {
    const { clock, send, notifier } = bed([new TypeError('undefined is not a function')]);
    const sending = send();
    await clock.untilAsleep();
    clock.advance(5_000);
    expect(await sending).toBe('sent');
    expect(notifier.attempts).toHaveLength(2);
  });
});
