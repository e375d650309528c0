import { expect, test } from 'vitest';
import { RunQueue } from '../../src/daemon/run-queue.ts';
import { Scheduler } from '../../src/daemon/scheduler.ts';
import { Workload } from '../../src/daemon/workload.ts';
import { openTestLocation } from '../support/test-location.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('work says whether it was begun; what waits at the end never is', async () => {
  const workload = new Workload(new RunQueue(1));
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const first = workload.add(async () => await promise);
  let isBegun = false;
  const second = workload.add(async () => {
    isBegun = true;
  });
  await turn();
  const drained = workload.drain();
  expect(await second).toBe(false);
  resolve(undefined);
  expect(await first).toBe(true);
  await drained;
  expect(isBegun).toBe(false);
  expect(await workload.add(async () => undefined)).toBe(false);
});

test('a job that somebody asks for is running from the moment it waits to its end, however it ends', async () => {
  const { context } = await openTestLocation();
  const scheduler = new Scheduler(context, new RunQueue(1), []);
  const { promise, reject } = Promise.withResolvers<undefined>();
  const first = scheduler.perform('first', async () => await promise);
  const second = scheduler.perform('second', async () => undefined);
  expect(scheduler.running()).toEqual(new Set(['first', 'second']));
  reject(new Error('broken'));
  await expect(first).rejects.toThrow('broken');
  expect(await second).toBe(true);
  expect(scheduler.running()).toEqual(new Set());
});
