import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { createInterface } from 'node:readline';
import { descendantsOf } from '../test/support/processes.ts';
import { cleanEnv } from '../tools/cluster-keeper.ts';
import { type Command, endOnAbort } from './measure.ts';
import { peakOf, residentOf } from './process-memory.ts';
import { programEnv } from './program.ts';

const STOP_MS = 60_000;
const SAMPLE_MS = 250;
/** Of the last lines of the log, for the message when the daemon ends by itself. */
const TAIL_LINES = 10;

interface LogLine {
  msg?: string;
  step?: string;
  outcome?: string;
}

/** A daemon of ours and what it takes of memory. Disposing ends it. */
export class Daemon implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #news = new EventEmitter();
  readonly #signal: AbortSignal;
  readonly #ended: Promise<unknown>;
  readonly #tail: string[] = [];
  #isReady = false;
  #isEnded = false;
  #url: string | undefined;
  #runs = 0;
  #fault: string | undefined;
  #childrenPeak_bytes = 0;

  private constructor([program, ...args]: Command, signal: AbortSignal) {
    this.#signal = signal;
    this.#child = spawn(program, args, {
      env: { ...cleanEnv(), ...programEnv() },
      stdio: ['ignore', 'ignore', 'pipe'],
      // Its children are ended by it, or with the group.
      detached: true,
    });
    this.#ended = once(this.#child, 'close').then(() => {
      this.#isEnded = true;
      this.#news.emit('news');
    });
    const { stderr } = this.#child;
    if (stderr === null) throw new Error('the daemon has no stderr');
    createInterface({ input: stderr }).on('line', (line) => this.#read(line));
  }

  /** Resolves once it is ready. */
  static async start(command: Command, signal: AbortSignal): Promise<Daemon> {
    const daemon = new Daemon(command, signal);
    try {
      await daemon.#until(() => daemon.#isReady && daemon.#url !== undefined);
      return daemon;
    } catch (error) {
      await daemon[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where its HTTP server listens. */
  get url(): string {
    return this.#url ?? '';
  }

  get resident_bytes(): number {
    return residentOf(this.#child.pid) ?? Number.NaN;
  }

  /** Of the process with its threads, so far. */
  get peak_bytes(): number {
    return peakOf(this.#child.pid) ?? Number.NaN;
  }

  /** The most that its children took at a time, as seen by `ranTo`. */
  get childrenPeak_bytes(): number {
    return this.#childrenPeak_bytes;
  }

  /** Resolves when so many runs have ended. Throws when one fails. */
  async ranTo(runs: number): Promise<void> {
    const timer = setInterval(() => this.#sample(), SAMPLE_MS);
    try {
      await this.#until(() => this.#runs >= runs);
    } finally {
      clearInterval(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isEnded) return;
    const stop = new AbortController();
    using _force = endOnAbort(this.#child, stop.signal);
    this.#child.kill('SIGTERM');
    const patience = setTimeout(() => stop.abort(), STOP_MS);
    await this.#ended;
    clearTimeout(patience);
  }

  async #until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      if (this.#fault !== undefined) throw new Error(this.#fault);
      if (this.#isEnded) throw new Error(`the daemon ended by itself:\n${this.#tail.join('\n')}`);
      await once(this.#news, 'news', { signal: this.#signal });
    }
  }

  #sample(): void {
    const children = descendantsOf(this.#child.pid ?? -1).map(({ pid }) => residentOf(pid) ?? 0);
    const sum_bytes = children.reduce((sum, bytes) => sum + bytes, 0);
    this.#childrenPeak_bytes = Math.max(this.#childrenPeak_bytes, sum_bytes);
  }

  #read(line: string): void {
    this.#tail.push(line);
    if (this.#tail.length > TAIL_LINES) this.#tail.shift();
    const { msg = '', step, outcome } = line.startsWith('{') ? (JSON.parse(line) as LogLine) : {};
    this.#url ??= /^listening on (http:\S+)$/.exec(msg)?.[1];
    if (msg === 'cofre is ready') this.#isReady = true;
    if (step === 'end') {
      this.#runs += 1;
      if (outcome !== 'succeeded') this.#fault = `a run of the daemon ${outcome}:\n${this.#tail.join('\n')}`;
    }
    this.#news.emit('news');
  }
}
