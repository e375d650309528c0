import { expect, test, vi } from 'vitest';
import { sleep } from '../../src/lib/abort.ts';
import { SystemClock } from '../../src/lib/system-clock.ts';
import { NO_ABORT } from '../support/fakes.ts';

vi.mock('../../src/lib/abort.ts', { spy: true });

const clock = new SystemClock();

test('tells the time of the machine', () => {
  expect(Math.abs(clock.now().getTime() - Date.now())).toBeLessThan(1_000);
});

test('a time that has passed is not slept for', async () => {
  await expect(clock.sleepUntil(new Date(Date.now() - 1), NO_ABORT)).resolves.toBeUndefined();
});

test('sleeps until the time has come', async () => {
  const at = new Date(Date.now() + 40);
  await clock.sleepUntil(at, NO_ABORT);
  // A timer may fire within the millisecond before.
  expect(Date.now()).toBeGreaterThanOrEqual(at.getTime() - 1);
});

test('an abort ends the sleep without an error', async () => {
  const controller = new AbortController();
  const sleeping = clock.sleepUntil(new Date(Date.now() + 600_000), controller.signal);
  controller.abort();
  await expect(sleeping).resolves.toBeUndefined();
  const again = clock.sleepUntil(new Date(Date.now() + 600_000), controller.signal);
  await expect(again).resolves.toBeUndefined();
});

test('no nap is longer than 30 s, so that a suspend or a clock that was set is noticed', async () => {
  const controller = new AbortController();
  const sleeping = clock.sleepUntil(new Date(Date.now() + 86_400_000), controller.signal);
  expect(vi.mocked(sleep)).toHaveBeenLastCalledWith(30_000, controller.signal);
  controller.abort();
  await sleeping;
});
