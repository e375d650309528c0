import { expect, test } from 'vitest';
import { AskedWork } from '../../src/daemon/asked-work.ts';
import { BackupError } from '../../src/domain/errors.ts';

/** Work that ends when it is told, or is cancelled. */
function held() {
  const { promise, resolve } = Promise.withResolvers<string>();
  let isBegun = false;
  const work = async (signal: AbortSignal) => {
    isBegun = true;
    const cancelled = new Promise<never>((_, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason as Error)),
    );
    return await Promise.race([promise, cancelled]);
  };
  return { work, end: () => resolve('done'), isBegun: () => isBegun };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('two are done at once, the third waits for its turn', async () => {
  const asked = new AskedWork();
  const all = [held(), held(), held()];
  const results = all.map(({ work }) => asked.perform(work));
  await turn();
  expect(all.map(({ isBegun }) => isBegun())).toEqual([true, true, false]);
  all[0]?.end();
  expect(await results[0]).toBe('done');
  await turn();
  expect(all[2]?.isBegun()).toBe(true);
  for (const { end } of all) end();
  expect(await Promise.all(results)).toEqual(['done', 'done', 'done']);
});

test('what fails fails whoever asked, and makes room', async () => {
  const asked = new AskedWork();
  const fault = new BackupError('IO_FAILED', 'broken');
  for (let at = 0; at < 60; at += 1) {
    await expect(
      asked.perform(async () => {
        throw fault;
      }),
    ).rejects.toBe(fault);
  }
  expect(await asked.perform(async () => 7)).toBe(7);
});

test('no more than fifty wait', async () => {
  const asked = new AskedWork();
  const all = Array.from({ length: 52 }, held);
  const results = all.map(({ work }) => asked.perform(work));
  await expect(asked.perform(async () => 1)).rejects.toMatchObject({ code: 'JOB_BUSY' });
  for (const { end } of all) end();
  await Promise.all(results);
  expect(await asked.perform(async () => 1)).toBe(1);
});

test('a shutdown drops what waits, and gives what is under way its time', async () => {
  const asked = new AskedWork();
  const all = [held(), held(), held()];
  const results = all.map(({ work }) => asked.perform(work));
  await turn();
  const stopped = asked.run(AbortSignal.abort());
  await expect(results[2]).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(all[2]?.isBegun()).toBe(false);
  for (const { end } of all) end();
  expect(await Promise.all(results.slice(0, 2))).toEqual(['done', 'done']);
  await stopped;
  await expect(asked.perform(async () => 1)).rejects.toMatchObject({ code: 'CANCELLED' });
});

test('a shutdown that has waited cancels', async () => {
  const asked = new AskedWork();
  const result = asked.perform(held().work);
  await turn();
  const stopped = asked.run(AbortSignal.abort());
  await expect(result).rejects.toMatchObject({ code: 'CANCELLED' });
  await stopped;
});
