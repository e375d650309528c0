import * as fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packInWorker } from '../../../src/sources/files/worker-stream.ts';
import { fillWithEverything, pack, scratch } from '../../support/file-tree.ts';

let home: ReturnType<typeof scratch>;
beforeEach(() => {
  home = scratch();
});
afterEach(() => {
  home[Symbol.dispose]();
});

/** Threads of this process that pack. */
function packingThreads(): number {
  return fs
    .readdirSync('/proc/self/task')
    .map((id) => fs.readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim())
    .filter((name) => name === 'cofre-pack').length;
}

function stream(signal = new AbortController().signal, worker?: string) {
  return packInWorker({
    pack: { roots: [{ path: home.path, as: 'top' }], exclude: [], leaveOut: [] },
    signal,
    onRemarks: () => undefined,
    ...(worker === undefined ? {} : { worker: new URL(`./workers/${worker}`, import.meta.url) }),
  });
}

/** Until the thread has filled everything that may be under way, and waits. */
async function untilBlocked(): Promise<void> {
  let before: number;
  let now = bytesRead();
  do {
    await sleep(100);
    before = now;
    now = bytesRead();
    // Not equal, because asking reads a few bytes as well.
  } while (now - before > 65_536);
}

/** How many bytes this process has read by system calls. */
function bytesRead(): number {
  return Number(/^rchar: (\d+)$/m.exec(fs.readFileSync('/proc/self/io', 'utf8'))?.[1]);
}

/** A file without blocks on disk, as large as an archive that no buffer holds. */
function makeLarge(): void {
  fs.writeFileSync(join(home.path, 'large'), '');
  fs.truncateSync(join(home.path, 'large'), 1024 ** 3);
}

test('the stream is what packing in this thread gives', async () => {
  fillWithEverything(home.path);
  const chunks: Buffer[] = [];
  for await (const chunk of stream()) chunks.push(Buffer.from(chunk));
  const { archive } = pack({ roots: [{ path: home.path, as: 'top' }] });
  expect(Buffer.concat(chunks).equals(archive)).toBe(true);
  expect(packingThreads()).toBe(0);
});

test('the thread waits while 16 chunks are under way', async () => {
  makeLarge();
  const before = bytesRead();
  const reading = stream();
  await reading.next();
  await untilBlocked();
  const read = bytesRead() - before;
  expect(read).toBeGreaterThan(3.5 * 1024 ** 2);
  expect(read).toBeLessThan(6 * 1024 ** 2);
  await reading.return(undefined);
});

test('abort leaves no worker: neither one that reads nor one that waits', async () => {
  makeLarge();
  for (const pause of [async () => undefined, untilBlocked]) {
    const abort = new AbortController();
    const reading = stream(abort.signal);
    await reading.next();
    expect(packingThreads()).toBe(1);
    await pause();
    const reason = new Error('the job was cancelled');
    abort.abort(reason);
    await expect(
      (async () => {
        for await (const chunk of reading) expect(chunk.length).toBeGreaterThan(0);
      })(),
    ).rejects.toBe(reason);
    expect(packingThreads()).toBe(0);
  }
});

test('an abort before the first read starts no worker', async () => {
  const abort = new AbortController();
  const reading = stream(abort.signal);
  abort.abort(new Error('too late'));
  await expect(reading.next()).rejects.toThrow('too late');
  expect(packingThreads()).toBe(0);
});

test('leaving early leaves no worker', async () => {
  makeLarge();
  for await (const chunk of stream()) {
    expect(chunk.length).toBeGreaterThan(0);
    break;
  }
  expect(packingThreads()).toBe(0);
});

test.each([
  ['exits-midway.ts', 'it ended before the archive did'],
  ['throws-midway.ts', 'a fault of its own'],
])('the death of the worker surfaces: %s', async (worker, message) => {
  const reading = stream(undefined, worker);
  await expect(
    (async () => {
      for await (const chunk of reading) expect(chunk.length).toBe(512);
    })(),
  ).rejects.toMatchObject({ code: 'INTERNAL', message: `the packing thread died: ${message}` });
  expect(packingThreads()).toBe(0);
});

test('an error of the pack arrives as it was thrown', async () => {
  fs.rmdirSync(home.path);
  await expect(stream().next()).rejects.toMatchObject({
    name: 'BackupError',
    code: 'SOURCE_MISSING',
    path: home.path,
    hint: expect.stringContaining('Create the directory'),
  });
});
