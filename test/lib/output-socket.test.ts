import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { OutputSocket } from '../../src/lib/output-socket.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';

async function open(): Promise<OutputSocket> {
  const socket = await OutputSocket.open();
  if (socket === undefined) throw new Error('no socket could be made');
  return socket;
}

/** Starts a shell that writes to the socket. */
function write(socket: OutputSocket, text: string) {
  const child = spawn('sh', ['-c', text], { stdio: ['ignore', socket.theirs, 'inherit'] });
  socket.theirs.destroy();
  return child;
}

test('every byte of a writer in small pieces arrives, in its order', async () => {
  const socket = await open();
  // 8 KiB at a time, as pg_dump writes.
  const child = write(socket, 'seq 1 3000000 | dd obs=8k status=none');
  const seen = createHash('sha256');
  let bytes = 0;
  for await (const batch of socket.batches()) {
    seen.update(batch);
    bytes += batch.length;
  }
  if (child.exitCode === null) await once(child, 'close');
  const expected = createHash('sha256');
  let line = '';
  for (let number = 1; number <= 3_000_000; number += 1) {
    line += `${number}\n`;
    if (line.length > 100_000) {
      expected.update(line);
      line = '';
    }
  }
  expect([bytes, seen.digest('hex')]).toEqual([22_888_896, expected.update(line).digest('hex')]);
});

test('what a slow writer has written is handed on while it goes on', async () => {
  const socket = await open();
  const child = write(socket, 'printf first; sleep 0.3; printf second');
  const batches = socket.batches();
  expect((await batches.next()).value?.toString()).toBe('first');
  expect((await batches.next()).value?.toString()).toBe('second');
  expect((await batches.next()).done).toBe(true);
  if (child.exitCode === null) await once(child, 'close');
});

test('the end is that of the last process that has the socket', async () => {
  const socket = await open();
  const child = write(socket, '(sleep 0.3; printf later) & printf now');
  const exited = once(child, 'close');
  let text = '';
  for await (const batch of socket.batches()) text += batch.toString();
  expect(text).toBe('nowlater');
  await exited;
});

test('a reader that stops holds the writer up', async () => {
  const directory = await temporaryDirectory();
  const socket = await open();
  const progress = join(directory, 'progress');
  await mkdir(progress);
  // A directory for each 64 KiB that the socket has taken.
  const child = write(
    socket,
    `n=0; while [ $n -lt 200 ]; do head -c 65536 /dev/zero || exit 1; n=$((n+1)); mkdir ${progress}/$n; done`,
  );
  const closed = once(child, 'close');
  const batches = socket.batches();
  await batches.next();
  let taken = -1;
  for (let now = 0; now !== taken; now = (await readdir(progress)).length) {
    taken = now;
    await sleep(200);
  }
  // Four batches wait, one is filled, one is being read, and the socket itself holds some.
  expect(taken).toBeGreaterThan(4);
  expect(taken).toBeLessThan(40);
  await batches.return();
  // It has nobody to write to any more.
  expect((await closed)[0]).not.toBe(0);
});

test('nothing of it is left in the directory for temporary files', async () => {
  const directory = await temporaryDirectory();
  const socket = await OutputSocket.open(directory);
  expect(socket).toBeDefined();
  expect(await readdir(directory)).toEqual([]);
  socket?.destroy();
});

test('where none can be made there is none, and nothing is left', async () => {
  const directory = await temporaryDirectory();
  expect(await OutputSocket.open(join(directory, 'absent'))).toBeUndefined();
  // A path that is longer than that of a socket may be.
  const long = join(directory, 'x'.repeat(120));
  await mkdir(long);
  expect(await OutputSocket.open(long)).toBeUndefined();
  expect(await readdir(long)).toEqual([]);
});
