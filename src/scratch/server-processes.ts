import { readdir, readFile, readlink, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** What a process of PostgreSQL is called by the kernel, whatever title it gives itself. */
const PROGRAM_NAMES = ['postgres', 'initdb'];
/** It keeps our working directory, by which paths of its connection may go: what it writes to is in its arguments. */
const DUMPER_NAME = 'pg_dump';
/** After SIGQUIT a postmaster gives its children five seconds before it kills them. */
const QUIT_GRACE_MS = 7_000;
const KILL_GRACE_MS = 5_000;
const POLL_MS = 20;

/**
 * Ends every process of PostgreSQL that works in a directory, or dumps into it: the postmasters first, which end
 * their own, and whatever is left with SIGKILL. A process counts when it is called like one of PostgreSQL's programs
 * and its working directory, which for a server is its data directory, lies there, or `--file` for pg_dump. Linux only.
 * @param grace_ms before SIGKILL.
 */
export async function endServersIn(directory: string, grace_ms = QUIT_GRACE_MS): Promise<void> {
  const found = await serverProcessesIn(directory);
  if (found.length === 0) return;
  const ids = new Set(found.map(({ pid }) => pid));
  for (const { pid, parent } of found) {
    if (!ids.has(parent)) signalTo(pid, 'SIGQUIT');
  }
  if (await areGone(directory, grace_ms)) return;
  for (const { pid } of await serverProcessesIn(directory)) signalTo(pid, 'SIGKILL');
  await areGone(directory, KILL_GRACE_MS);
}

interface ServerProcess {
  pid: number;
  parent: number;
}

/** Those that we may look at: our own, and as root all. */
export async function serverProcessesIn(directory: string): Promise<ServerProcess[]> {
  // The directory itself is not resolved: it may be swapped for a link to the data of another server.
  const path = join(await realpath(dirname(directory)), basename(directory));
  const names = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(names.map(async (name) => await lookAt(Number(name), path, directory)));
  return found.filter((entry) => entry !== undefined);
}

/** @param directory resolved. @param given the same, as it is written in arguments. */
async function lookAt(pid: number, directory: string, given: string): Promise<ServerProcess | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // proc(5): `pid (name) state parent …`, where the name may itself hold blanks and parentheses.
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    if (name === DUMPER_NAME) {
      const args = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0');
      if (!args.some((arg) => arg.startsWith(`--file=${given}/`))) return undefined;
    } else {
      if (!PROGRAM_NAMES.includes(name)) return undefined;
      const workingDirectory = await readlink(`/proc/${pid}/cwd`);
      if (workingDirectory !== directory && !workingDirectory.startsWith(`${directory}/`)) return undefined;
    }
    const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return { pid, parent: Number(parent) };
  } catch {
    return undefined;
  }
}

async function areGone(directory: string, patience_ms: number): Promise<boolean> {
  const deadline = performance.now() + patience_ms;
  while ((await serverProcessesIn(directory)).length > 0) {
    if (performance.now() > deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended between the look and the call.
  }
}
