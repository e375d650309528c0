import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { endServersIn, serverProcessesIn } from '../../src/scratch/server-processes.ts';
import { temporaryDirectory } from '../support/temp-directory.ts';

async function idsIn(directory: string): Promise<number[]> {
  return (await serverProcessesIn(directory)).map(({ pid }) => pid);
}

test('a pg_dump that dumps into a directory is ended with what is in it, and no other', async () => {
  const directory = await temporaryDirectory();
  const program = join(directory, 'pg_dump');
  await writeFile(program, "#!/bin/sh\ntrap 'kill $!; exit 1' QUIT TERM\nsleep 1000 &\necho ready\nwait\n", {
    mode: 0o755,
  });
  const [mine, other] = [join(directory, 'mine'), join(directory, 'mine-too')];
  await Promise.all([mine, other].map(async (path) => await mkdir(path)));
  const dumpers = [mine, other].map((path) => spawn(program, [`--file=${path}/w/dump`], { detached: true }));
  try {
    await Promise.all(dumpers.map(async ({ stdout }) => await once(stdout, 'data')));
    // What the script starts is called as it is for a moment.
    await expect.poll(async () => await idsIn(mine)).toEqual([dumpers[0]?.pid]);
    await expect.poll(async () => await idsIn(other)).toEqual([dumpers[1]?.pid]);
    await endServersIn(mine);
    expect(await idsIn(mine)).toEqual([]);
    expect(await idsIn(other)).toEqual([dumpers[1]?.pid]);
  } finally {
    for (const dumper of dumpers) dumper.kill('SIGTERM');
  }
});
