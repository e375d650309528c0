import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { cleanEnv } from '../tools/cluster-keeper.ts';

const POLL_MS = 25;

export interface Measured {
  wall_ms: number;
  /** The most memory that the process held, its children not counted; NaN where /proc does not tell. */
  peak_bytes: number;
  stdout: string;
}

export type Command = readonly [program: string, ...args: string[]];

/** Runs a command to its end. Throws with what it said unless it exits with 0. */
export async function measure([program, ...args]: Command): Promise<Measured> {
  const from = performance.now();
  const child = spawn(program, args, { env: cleanEnv(), stdio: ['ignore', 'pipe', 'pipe'] });
  let peak_bytes = Number.NaN;
  const timer = setInterval(() => {
    const now = peakOf(child.pid);
    if (now !== undefined) peak_bytes = now;
  }, POLL_MS);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  await once(child, 'close');
  clearInterval(timer);
  const wall_ms = performance.now() - from;
  assertSucceeded(child, program, stderr());
  return { wall_ms, peak_bytes, stdout: stdout() };
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

/** `VmHWM`, see proc(5). */
function peakOf(pid: number | undefined): number | undefined {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = [];
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}

function assertSucceeded({ exitCode, signalCode }: ChildProcess, program: string, stderr: string): void {
  if (exitCode === 0) return;
  throw new Error(`${program} ended with ${signalCode ?? `status ${exitCode}`}: ${stderr}`);
}
