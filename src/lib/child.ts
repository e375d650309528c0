import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Readable, type Writable } from 'node:stream';
import { BackupError, toBackupError } from '../domain/errors.ts';
import { gather } from './gather.ts';
import { OutputSocket } from './output-socket.ts';

/** How much of a child's stderr is kept for messages: its end, where the reason stands. */
const STDERR_TAIL_BYTES = 8_192;
/** How much of stdout `runChild` keeps. */
const STDOUT_BYTES = 1024 * 1024;
/** After SIGTERM a child has this long before SIGKILL. */
const KILL_GRACE_MS = 5_000;

/** Its stdout is null where another one was given. */
type PipedProcess = ChildProcessByStdio<Writable | null, Readable | null, Readable>;

export interface ChildOptions {
  /** Absolute path or a name looked up on the PATH of `env`. */
  command: string;
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd?: string;
  signal: AbortSignal;
  stdin?: 'ignore' | 'pipe';
  /** In place of a pipe. Then `exited` does not wait until whoever holds it has closed it. */
  stdout?: Socket;
  /** Shown in messages instead of the command, such as `pg_dump`. */
  label?: string;
  /**
   * Once the program has ended by itself, what it left running may hold its stdout and stderr for this long;
   * then they are closed, `exited` settles, and no signal is sent to what is left. Without it the program
   * counts as running until its pipes are closed. For programs whose stdout is not read to its end.
   */
  pipesAfterExit_ms?: number;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/**
 * A child process without a shell, in a process group of its own so that a Ctrl-C at the terminal reaches
 * us alone and we decide the order of the shutdown. Aborting the signal ends it: SIGTERM, then SIGKILL.
 */
export interface Child {
  readonly pid: number;
  readonly stdout: Readable;
  readonly stdin: Writable | null;
  /** The last 8 KiB of stderr, trimmed. */
  stderrTail(): string;
  /**
   * Settles when the process has ended and its pipes are closed, see also `pipesAfterExit_ms`. Rejects only if
   * it never started.
   */
  readonly exited: Promise<Exit>;
  kill(): void;
}

/** Starts a program. Rejects with TOOL_MISSING when it does not exist or is not executable. */
export async function startChild(options: ChildOptions): Promise<Child> {
  const label = options.label ?? options.command;
  options.signal.throwIfAborted();
  const process_ = spawn(options.command, options.args, {
    env: options.env,
    cwd: options.cwd,
    stdio: [options.stdin ?? 'ignore', options.stdout ?? 'pipe', 'pipe'],
    detached: true,
  }) as PipedProcess;
  const exited = exitOf(process_);
  // Whoever awaits it later sees the rejection; until then it must not count as unhandled.
  exited.catch(() => undefined);
  const tail = collectTail(process_.stderr);
  try {
    await once(process_, 'spawn');
  } catch (error) {
    throw new BackupError('TOOL_MISSING', `${label} could not be started: ${(error as Error).message}`, {
      path: options.command,
      hint: `Install ${label}, or correct its path in the configuration.`,
      cause: error,
    });
  }
  let killTimer: NodeJS.Timeout | undefined;
  let pipesTimer: NodeJS.Timeout | undefined;
  let ended = false;
  const kill = () => {
    if (ended || killTimer !== undefined) return;
    killGroup(process_, 'SIGTERM');
    killTimer = setTimeout(() => killGroup(process_, 'SIGKILL'), KILL_GRACE_MS);
    // A reader that stalled must not keep the child's pipe full while it is asked to end.
    process_.stdout?.resume();
  };
  options.signal.addEventListener('abort', kill, { once: true });
  if (options.signal.aborted) kill();
  const { pipesAfterExit_ms } = options;
  if (pipesAfterExit_ms === undefined) {
    // What a program that was killed had started, such as the workers of pg_restore, may go on for hours.
    process_.once('exit', (_code, signal) => {
      if (signal !== null) kill();
    });
  } else {
    process_.once('exit', () => {
      // Only one that ended by itself left something on purpose; a group that is being ended is waited for.
      ended = killTimer === undefined;
      pipesTimer = setTimeout(
        () => {
          process_.stdout?.destroy();
          process_.stderr.destroy();
        },
        pipesAfterExit_ms + (ended ? 0 : KILL_GRACE_MS),
      );
    });
  }
  const settled = () => {
    ended = true;
    clearTimeout(killTimer);
    clearTimeout(pipesTimer);
    options.signal.removeEventListener('abort', kill);
  };
  exited.then(settled, settled);
  // EPIPE shows up as the exit status; without a listener it would end the whole program.
  process_.stdin?.on('error', () => undefined);
  return {
    pid: process_.pid ?? -1,
    stdout: process_.stdout ?? Readable.from([]),
    stdin: process_.stdin,
    stderrTail: tail,
    exited,
    kill,
  };
}

/**
 * What a program writes to stdout, as a stream whose end means that it exited with status 0: any other end
 * throws TOOL_FAILED (or the reason of the abort) after the last byte. The child is gone when it settles. A chunk is
 * valid until the next one is asked for.
 */
export async function* childOutput(options: ChildOptions): AsyncGenerator<Buffer, void, undefined> {
  const label = options.label ?? options.command;
  options.signal.throwIfAborted();
  const socket = await OutputSocket.open();
  let child: Child | undefined;
  try {
    child = await startChild({ ...options, ...(socket === undefined ? {} : { stdout: socket.theirs }) });
    socket?.theirs.destroy();
    yield* socket === undefined ? gather(child.stdout) : socket.batches();
    const exit = await child.exited;
    // A program that answers SIGTERM with status 0 has not written everything.
    options.signal.throwIfAborted();
    assertSucceeded(label, exit, child.stderrTail(), options.signal);
  } catch (error) {
    options.signal.throwIfAborted();
    throw toBackupError(error, label);
  } finally {
    socket?.destroy();
    child?.kill();
    await child?.exited;
  }
}

export interface ChildResult extends Exit {
  stdout: string;
  stderr: string;
}

/**
 * Runs a program to its end and returns what it printed, whatever its exit status. For small outputs: of
 * stdout the first MiB, of stderr the last 8 KiB; the rest is read and dropped.
 */
export async function runChild(options: ChildOptions): Promise<ChildResult> {
  const child = await startChild(options);
  const chunks: Buffer[] = [];
  let room = STDOUT_BYTES;
  for await (const chunk of child.stdout) {
    const kept = (chunk as Buffer).subarray(0, room);
    room -= kept.length;
    if (kept.length > 0) chunks.push(kept);
  }
  const exit = await child.exited;
  options.signal.throwIfAborted();
  return { ...exit, stdout: Buffer.concat(chunks).toString(), stderr: child.stderrTail() };
}

/** Throws unless the exit is status 0 without a signal. */
export function assertSucceeded(label: string, exit: Exit, stderr: string, signal: AbortSignal): void {
  if (exit.code === 0 && exit.signal === null) return;
  signal.throwIfAborted();
  const how = exit.signal === null ? `exited with status ${exit.code}` : `was killed by ${exit.signal}`;
  throw new BackupError('TOOL_FAILED', `${label} ${how}${stderr === '' ? '' : `: ${stderr}`}`, {
    hint:
      exit.signal === null
        ? `Read the message of ${label}; run it by hand with the same user if it is not clear.`
        : `Something ended ${label} from outside: look for the out-of-memory killer in the system log.`,
  });
}

function exitOf(child: PipedProcess): Promise<Exit> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}

/** The whole group, also when its leader has ended: something it started may still hold the pipes. */
function killGroup(child: PipedProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It ended between the check and the call.
  }
}

function collectTail(stream: Readable): () => string {
  let tail: Buffer = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    tail = Buffer.concat([tail, chunk]);
    if (tail.length > STDERR_TAIL_BYTES) tail = tail.subarray(tail.length - STDERR_TAIL_BYTES);
  });
  return () => tail.toString().trim();
}

/** All that a program prints, as Latin-1, in which any bytes come through. Throws what childOutput throws. */
export async function outputText(options: ChildOptions): Promise<string> {
  const chunks: Buffer[] = [];
  // Each is written over once the next has been asked for.
  for await (const chunk of childOutput(options)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('latin1');
}
