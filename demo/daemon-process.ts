import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { CHECKOUT, plainEnvironment } from './environment.ts';

/** Longer than the daemon gives itself for a shutdown. */
const STOP_TIMEOUT_MS = 20_000;
const PATIENCE_MS = 40_000;

/** What the demo reads of a line of the daemon's log. */
export interface LogLine {
  /** Milliseconds since 1970. */
  time: number;
  level: string;
  msg: string;
  step?: string;
  job?: string;
  source?: string;
  filename?: string;
  outcome?: string;
  /** Of the embedded database, told by the demo's own daemon. */
  rows?: Record<string, number>;
}

export interface FollowOptions {
  /** What is waited for, for the message when it does not come. */
  what: string;
  signal: AbortSignal;
  onLine?: (line: LogLine) => void;
}

/**
 * A daemon as a child process, followed through its log: JSON lines on stderr. In a process group of its
 * own, so that a Ctrl-C reaches the demo alone, which then stops it in order.
 */
export class DaemonProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #guard: ChildProcess;
  readonly #lines: LogLine[] = [];
  readonly #news = new EventEmitter();
  readonly #closed: Promise<void>;
  #next = 0;
  #ended = false;

  /** @param argv The script and its arguments, for the Node that runs this. */
  constructor(argv: readonly string[]) {
    this.#child = spawn(process.execPath, argv, {
      cwd: CHECKOUT,
      env: plainEnvironment(),
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    });
    this.#guard = startGuard(this.pid);
    this.#closed = once(this.#child, 'close').then(() => {
      this.#ended = true;
      this.#news.emit('news');
    });
    if (this.#child.stderr === null) throw new Error('the daemon has no stderr');
    createInterface({ input: this.#child.stderr }).on('line', (text) => {
      this.#lines.push(parseLine(text));
      this.#news.emit('news');
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get exitCode(): number | null {
    return this.#child.exitCode;
  }

  /** Everything logged so far. */
  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  /** Where its HTTP server listens, once it has said so. */
  get url(): string | undefined {
    for (const { msg } of this.#lines) {
      const url = /^listening on (http:\S+)$/.exec(msg)?.[1];
      if (url !== undefined) return url;
    }
    return undefined;
  }

  /** Reads the log from where it was last left; resolves with the first line that fits. */
  async follow(fits: (line: LogLine) => boolean, { what, signal, onLine }: FollowOptions): Promise<LogLine> {
    const patience = AbortSignal.timeout(PATIENCE_MS);
    for (;;) {
      for (let line = this.#lines[this.#next]; line !== undefined; line = this.#lines[this.#next]) {
        this.#next += 1;
        onLine?.(line);
        if (fits(line)) return line;
      }
      if (this.#ended) throw new Error(`the daemon ended while ${what} was waited for${this.#faults()}`);
      try {
        await once(this.#news, 'news', { signal: AbortSignal.any([signal, patience]) });
      } catch (error) {
        if (!patience.aborted || signal.aborted) throw error;
        throw new Error(`${what} did not come within ${PATIENCE_MS / 1000} s${this.#faults()}`, {
          cause: error,
        });
      }
    }
  }

  /** Asks it to stop by SIGTERM and waits until it has. */
  async stop(): Promise<void> {
    // Not when it has ended: its number may be that of another process by now.
    if (!this.#ended) this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await this.#closed;
    clearTimeout(timer);
    this.#guard.kill('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** The last errors of its log, for a message. */
  #faults(): string {
    const faults = this.#lines.filter(({ level }) => level === 'error' || level === 'fatal').slice(-5);
    return faults.map(({ msg }) => `\n  ${msg}`).join('');
  }
}

/**
 * A shell that waits for the end of a pipe of ours and then stops the daemon: the kernel closes the pipe
 * also when this process is killed and cannot stop anything any more.
 */
function startGuard(pid: number): ChildProcess {
  const script = 'read -r _; kill -TERM "$1"';
  const guard = spawn('/bin/sh', ['-c', script, 'cofre-demo-guard', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.stdin.on('error', () => undefined);
  return guard;
}

/** A line that is no JSON is what Node itself says of a crash. */
function parseLine(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    return { time: Date.now(), level: 'error', msg: text };
  }
}
