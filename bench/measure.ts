import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename } from 'node:path';
import { cleanEnv } from '../tools/cluster-keeper.ts';
import { peakOf } from './process-memory.ts';

const POLL_MS = 25;
/** What a command gets between the request to end and its end by force. */
const GRACE_MS = 10_000;

export interface Measured {
  wall_ms: number;
  /** The most memory that the process held, its children not counted; NaN where /proc does not tell. */
  peak_bytes: number;
  stdout: string;
  stderr: string;
}

export type Command = readonly [program: string, ...args: string[]];

export interface MeasureOptions {
  /** Added to the environment without PG* variables. */
  env?: NodeJS.ProcessEnv;
  /** Ends the command and everything it started; it then runs in a process group of its own. */
  signal?: AbortSignal;
}

/** Runs a command to its end. Throws with what it said unless it exits with 0. */
export async function measure(
  [program, ...args]: Command,
  { env = {}, signal }: MeasureOptions = {},
): Promise<Measured> {
  signal?.throwIfAborted();
  const from = performance.now();
  const child = spawn(program, args, {
    env: { ...cleanEnv(), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: signal !== undefined,
  });
  using _end = signal === undefined ? undefined : endOnAbort(child, signal);
  let peak_bytes = Number.NaN;
  const timer = setInterval(() => {
    const now = peakOf(child.pid);
    if (now !== undefined) peak_bytes = now;
  }, POLL_MS);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  try {
    await once(child, 'close');
  } finally {
    clearInterval(timer);
  }
  const wall_ms = performance.now() - from;
  signal?.throwIfAborted();
  assertSucceeded(child, program, stderr(), stdout());
  return { wall_ms, peak_bytes, stdout: stdout(), stderr: stderr() };
}

/** Runs `from | to`, or with a path in place of the second command `from > path`. Milliseconds. */
export async function measurePipe(from: Command, to: Command): Promise<number> {
  const started = performance.now();
  const [first, ...firstArgs] = from;
  const [second, ...secondArgs] = to;
  const reader = spawn(second, secondArgs, { env: cleanEnv(), stdio: ['pipe', 'ignore', 'pipe'] });
  // The one writes into the pipe of the other by itself, as in a shell.
  const stdio = ['ignore', reader.stdin, 'pipe'] as const;
  const writer = spawn(first, firstArgs, { env: cleanEnv(), stdio: [...stdio] });
  reader.stdin.destroy();
  const complaints = [collect(writer.stderr), collect(reader.stderr)];
  await Promise.all([once(writer, 'close'), once(reader, 'close')]);
  const wall_ms = performance.now() - started;
  assertSucceeded(writer, first, complaints[0]?.() ?? '');
  assertSucceeded(reader, second, complaints[1]?.() ?? '');
  return wall_ms;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** For a child that leads its process group: asks the whole group to end, and makes it. */
export function endOnAbort(child: ChildProcess, signal: AbortSignal): Disposable {
  let force: NodeJS.Timeout | undefined;
  const end = () => {
    killGroup(child, 'SIGTERM');
    force = setTimeout(() => killGroup(child, 'SIGKILL'), GRACE_MS);
  };
  signal.addEventListener('abort', end, { once: true });
  return {
    [Symbol.dispose]: () => {
      signal.removeEventListener('abort', end);
      clearTimeout(force);
    },
  };
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (pid !== undefined) process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = [];
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

function assertSucceeded(
  { exitCode, signalCode }: ChildProcess,
  program: string,
  stderr: string,
  stdout = '',
): void {
  if (exitCode === 0) return;
  throw new Error(
    `${basename(program)} ended with ${signalCode ?? `status ${exitCode}`}: ${stderr}${stdout}`,
  );
}
