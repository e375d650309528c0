import type { ArchiveFormat } from '../../src/domain/manifest.ts';
import type {
  ByteStream,
  Capture,
  CaptureFacts,
  CaptureRemarks,
  Clock,
  Finding,
  Source,
  Store,
} from '../../src/domain/ports.ts';

export const NO_ABORT = new AbortController().signal;

/** A clock that stands still until a test moves it, in either direction. */
export class FakeClock implements Clock {
  #now_ms: number;
  readonly #sleepers = new Set<{ at_ms: number; wake: () => void }>();
  #onSleep: (() => void)[] = [];

  constructor(now: string) {
    this.#now_ms = Date.parse(now);
  }

  now(): Date {
    return new Date(this.#now_ms);
  }

  /** A step backwards wakes every sleeper, as the real clock's short naps do within 30 s. */
  set(now: string | Date): void {
    const now_ms = new Date(now).getTime();
    const isBackwards = now_ms < this.#now_ms;
    this.#now_ms = now_ms;
    for (const sleeper of this.#sleepers) {
      if (isBackwards || sleeper.at_ms <= now_ms) sleeper.wake();
    }
  }

  advance(ms: number): void {
    this.set(new Date(this.#now_ms + ms));
  }

  async sleepUntil(at: Date, signal: AbortSignal): Promise<void> {
    if (signal.aborted || at.getTime() <= this.#now_ms) return;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const wake = () => resolve(undefined);
    const sleeper = { at_ms: at.getTime(), wake };
    this.#sleepers.add(sleeper);
    signal.addEventListener('abort', wake, { once: true });
    for (const told of this.#onSleep.splice(0)) told();
    await promise;
    this.#sleepers.delete(sleeper);
    signal.removeEventListener('abort', wake);
  }

  /** Resolves when someone sleeps, however far ahead; a sleeper that was just woken does not count. */
  async untilAsleep(): Promise<void> {
    // One turn of the event loop, so that whoever was woken has left.
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#sleepers.size > 0) return;
    await new Promise<void>((resolve) => this.#onSleep.push(resolve));
  }
}

/** A small plain dump of one table, with the lines that every version of pg_dump writes. */
export function dumpText(rows: readonly string[] = ['1\tone', '2\ttwo'], table = 'items'): string {
  return [
    '--\n-- PostgreSQL database dump\n--\n',
    '-- Dumped from database version 15.18\n-- Dumped by pg_dump version 15.18\n',
    `CREATE TABLE public.${table} (\n    id integer,\n    name text\n);\n`,
    `COPY public.${table} (id, name) FROM stdin;`,
    ...rows,
    '\\.\n',
    '--\n-- PostgreSQL database dump complete\n--\n\n',
  ].join('\n');
}

/** What a capture yields; `attempt` counts from 1. */
export type Script = (signal: AbortSignal, attempt: number) => ByteStream;

export interface FakeSourceOptions {
  name?: string;
  format?: ArchiveFormat;
  bytes?: Script;
  facts?: CaptureFacts;
  remarks?: CaptureRemarks;
  preflight?: (attempt: number) => Finding[];
}

/** A source of scripted bytes; without a script, of a small plain dump. */
export class FakeSource implements Source {
  readonly name: string;
  readonly format: ArchiveFormat;
  readonly type;
  readonly #options: FakeSourceOptions;
  preflights = 0;
  captures = 0;
  /** Captures whose stream was ended or given up. */
  released = 0;

  constructor(options: FakeSourceOptions = {}) {
    this.#options = options;
    this.name = options.name ?? 'app';
    this.format = options.format ?? 'plain';
    this.type = this.format === 'tar' ? ('files' as const) : ('database' as const);
  }

  async preflight(): Promise<Finding[]> {
    this.preflights += 1;
    return this.#options.preflight?.(this.preflights) ?? [];
  }

  async capture(signal: AbortSignal): Promise<Capture> {
    this.captures += 1;
    const { bytes = yields(dumpText()), facts = {}, remarks } = this.#options;
    const inner = bytes(signal, this.captures)[Symbol.asyncIterator]();
    let isReleased = false;
    const release = () => {
      if (!isReleased) this.released += 1;
      isReleased = true;
    };
    const stream: ByteStream = {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          const result = await inner.next();
          if (result.done === true) release();
          return result;
        },
        return: async () => {
          release();
          return (await inner.return?.()) ?? { done: true, value: undefined };
        },
      }),
    };
    return { stream, facts, remarks: () => remarks ?? { changed: [], incomplete: [] } };
  }
}

/** Yields the text and ends. */
export function yields(text: string | Buffer): Script {
  return async function* () {
    yield Buffer.from(text);
  };
}

/** Yields the text, then throws. */
export function failsAfter(text: string, error: Error): Script {
  return async function* () {
    yield Buffer.from(text);
    throw error;
  };
}

/** Yields the text, tells `reached`, then hangs until it is aborted. */
export function hangsAfter(text: string, reached: () => void = () => undefined): Script {
  return async function* (signal) {
    yield Buffer.from(text);
    reached();
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    signal.throwIfAborted();
  };
}

/** A finding that stops a run. */
export function fault(code: Finding['code'], message: string): Finding {
  return { severity: 'error', code, path: 'somewhere', message, hint: 'Do something.' };
}

/** A store with some of its operations replaced. */
export function withFaults(store: Store, faults: Partial<Store>): Store {
  return {
    id: store.id,
    stage: faults.stage ?? ((...args) => store.stage(...args)),
    get: faults.get ?? ((...args) => store.get(...args)),
    stat: faults.stat ?? ((...args) => store.stat(...args)),
    list: faults.list ?? ((...args) => store.list(...args)),
    delete: faults.delete ?? ((...args) => store.delete(...args)),
    isTaken: faults.isTaken ?? ((...args) => store.isTaken(...args)),
    leftovers: faults.leftovers ?? ((...args) => store.leftovers(...args)),
    removeLeftover: faults.removeLeftover ?? ((...args) => store.removeLeftover(...args)),
  };
}
