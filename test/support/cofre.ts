import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { cleanEnv } from '../../tools/cluster-keeper.ts';
import { InVain, waitFor } from './wait-for.ts';

export const ROOT = join(import.meta.dirname, '../..');
/** The bundle that `build-program.ts` made. */
export const MAIN = process.env['COFRE_TEST_MAIN'] ?? '';
/** Compiled once for the hundreds of processes that the tests start. */
export const COMPILE_CACHE = join(ROOT, 'node_modules/.cache/cofre-tests');
/** Below the time that a test has. */
const COMMAND_TIMEOUT_MS = 45_000;

export interface RunOptions {
  config: string;
  env?: NodeJS.ProcessEnv;
  /** For node itself, before the program. */
  nodeArgs?: readonly string[];
  /** Put before the command line, such as setpriv and its arguments. */
  prefix?: readonly string[];
  /** What people see: without `--json`. */
  text?: boolean;
  /** Called once the process runs. */
  onStart?: (child: ChildProcess) => void;
}

export interface Finished extends Exit {
  stdout: string;
  stderr: string;
  /** What stdout holds. Throws, showing both streams, when it is no JSON. */
  json<T>(): T;
}

/** Runs one command of the real program, with `--json` unless told, to its end. */
export async function cofre(args: readonly string[], options: RunOptions): Promise<Finished> {
  const child = start(options.text === true ? args : [...args, '--json'], options);
  options.onStart?.(child);
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  // A command that hangs fails its test, and does not outlive it.
  const timer = setTimeout(() => child.kill('SIGKILL'), COMMAND_TIMEOUT_MS);
  const exit = await exitOf(child);
  clearTimeout(timer);
  return {
    ...exit,
    stdout: stdout(),
    stderr: stderr(),
    json: <T>() => {
      try {
        return JSON.parse(stdout()) as T;
      } catch (cause) {
        throw new Error(`no JSON (status ${exit.status}, ${exit.signal})\n${stdout()}\n${stderr()}`, {
          cause,
        });
      }
    },
  };
}

export interface Exit {
  status: number | null;
  signal: NodeJS.Signals | null;
}

export interface LogLine {
  level: string;
  msg: string;
  step?: string;
  job?: string;
  code?: string;
  [field: string]: unknown;
}

/** A running `cofre daemon`; what is left of it is killed when the scope ends. */
export class Daemon implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #stderr: () => string;
  readonly exited: Promise<Exit>;
  #url = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#stderr = collect(child.stderr);
    // Nobody reads the answer, but its pipe must not fill.
    child.stdout?.resume();
    this.exited = exitOf(child);
  }

  /** Started, and perhaps not ready yet, or never. */
  static spawn(options: RunOptions): Daemon {
    return new Daemon(start(['daemon'], options));
  }

  /** Started and ready. Throws with its log when it ends before. */
  static async start(options: RunOptions): Promise<Daemon> {
    const daemon = Daemon.spawn(options);
    try {
      await daemon.waitForLog('readiness', ({ msg }) => msg === 'cofre is ready');
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw error;
    }
    return daemon;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get stderr(): string {
    return this.#stderr();
  }

  log(): LogLine[] {
    const lines = this.#stderr()
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'));
    return lines.map((line) => JSON.parse(line) as LogLine);
  }

  /** The first log line that matches, once it is there. */
  async waitForLog(what: string, matches: (line: LogLine) => boolean, timeout_ms?: number): Promise<LogLine> {
    try {
      return await waitFor(
        what,
        () => {
          const line = this.log().find(matches);
          if (line === undefined && this.#hasEnded()) throw new InVain('the daemon has ended');
          return line;
        },
        timeout_ms,
      );
    } catch (error) {
      throw new Error(`waiting for ${what}; the log is:\n${this.#stderr()}`, { cause: error });
    }
  }

  /** Where it listens, once it does. */
  async url(): Promise<string> {
    if (this.#url === '') {
      const { msg } = await this.waitForLog(
        'listening',
        ({ step, address }) => step === 'http' && address !== undefined,
      );
      this.#url = /https?:\S+$/.exec(msg)?.[0] ?? '';
    }
    return this.#url;
  }

  async get(path: string): Promise<{ status: number; text: string }> {
    const response = await fetch(`${await this.url()}${path}`);
    return { status: response.status, text: await response.text() };
  }

  /** A call of the API with a token. */
  async call(method: string, path: string, token: string, body?: unknown): Promise<ApiReply> {
    const response = await fetch(`${await this.url()}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  async health(): Promise<{ status: number; body: Health }> {
    const { status, text } = await this.get('/health');
    return { status, body: JSON.parse(text) as Health };
  }

  /** The value of one sample, as `cofre_runs_total{job="app",outcome="failed"}`; undefined when it is absent. */
  async metric(sample: string): Promise<number | undefined> {
    const { text } = await this.get('/metrics');
    const line = text.split('\n').find((candidate) => candidate.startsWith(`${sample} `));
    return line === undefined ? undefined : Number(line.slice(sample.length + 1));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    this.#child.kill(signal);
    return await this.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded()) this.#child.kill('SIGKILL');
    await this.exited;
  }

  #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }
}

export interface ApiReply {
  status: number;
  body: Record<string, unknown>;
}

export interface Health {
  status: string;
  problems: string[];
  jobs: { job: string; last_outcome: string | null; overdue: boolean; running: boolean }[];
  series: { source: string; newest: string; verified: boolean }[];
}

async function exitOf(child: ChildProcess): Promise<Exit> {
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { status, signal };
}

function start(args: readonly string[], options: RunOptions): ChildProcess {
  const argv = [
    ...(options.prefix ?? []),
    process.execPath,
    ...(options.nodeArgs ?? []),
    MAIN,
    ...args,
    '--config',
    options.config,
  ];
  const [command = '', ...rest] = argv;
  return spawn(command, rest, {
    cwd: '/',
    env: { ...programEnv(), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** The environment without what would configure cofre or lead PostgreSQL's programs elsewhere. */
function programEnv(): NodeJS.ProcessEnv {
  const kept = Object.entries(cleanEnv()).filter(
    ([name]) => !name.startsWith('COFRE_') && name !== 'NODE_OPTIONS' && name !== 'NOTIFY_SOCKET',
  );
  return { ...Object.fromEntries(kept), NODE_COMPILE_CACHE: COMPILE_CACHE };
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  const chunks: Buffer[] = [];
  stream?.on('data', (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString();
}
