import { Readable } from 'node:stream';
import type { BoardEvent, RunBoard } from '../../engine/run-board.ts';
import { Refusal } from '../problem.ts';

const STREAMS_MOST = 32;
/** A reader that lets more pile up is dropped; it comes back and is told what goes on. */
const BUFFER_BYTES_MOST = 256 * 1024;
/** Keeps proxies from closing a stream without news, and notices readers that are gone. */
const HEARTBEAT_MS = 15_000;
/** How long a reader waits before it comes back. */
const RETRY_MS = 3_000;

export interface EventStreamsOptions {
  /** Called often while anybody listens, so that the runs of other processes are seen. */
  lookAround: () => Promise<void>;
  /** Default: every second. */
  lookEvery_ms?: number;
}

/** The news of the runs as server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export class EventStreams {
  readonly #board: RunBoard;
  readonly #options: EventStreamsOptions;
  readonly #open = new Set<Readable>();
  #timers: NodeJS.Timeout[] = [];
  #unsubscribe: () => void = () => undefined;
  #isClosed = false;

  constructor(board: RunBoard, options: EventStreamsOptions) {
    this.#board = board;
    this.#options = options;
  }

  get size(): number {
    return this.#open.size;
  }

  /** A stream that begins with what is under way. Throws RATE_LIMITED when too many are open, CANCELLED at the end. */
  open(): Readable {
    if (this.#isClosed) throw new Refusal('CANCELLED', 'cofre is stopping');
    if (this.#open.size >= STREAMS_MOST) {
      throw new Refusal('RATE_LIMITED', `${this.#open.size} event streams are open already`, {
        headers: { 'retry-after': String(RETRY_MS / 1000) },
        hint: 'Close one of them.',
      });
    }
    const stream = new Readable({ read: () => undefined });
    if (this.#open.size === 0) this.#begin();
    this.#open.add(stream);
    stream.once('close', () => this.#forget(stream));
    stream.push(`retry: ${RETRY_MS}\n\n`);
    stream.push(framed('runs', { runs: this.#board.live() }));
    return stream;
  }

  /** Ends every stream; whoever comes back is told again what is under way. */
  disconnect(): void {
    for (const stream of this.#open) this.#end(stream);
  }

  /** Ends every stream, and opens no other. */
  close(): void {
    this.#isClosed = true;
    this.disconnect();
  }

  #begin(): void {
    this.#unsubscribe = this.#board.subscribe((event) => this.#send(framed(event.event, dataOf(event))));
    // A journal that cannot be read is told by those who write it; the next look may succeed.
    const look = () => void this.#options.lookAround().catch(() => undefined);
    this.#timers = [
      setInterval(() => this.#send(': alive\n\n'), HEARTBEAT_MS),
      setInterval(look, this.#options.lookEvery_ms ?? 1_000),
    ];
    // They must not keep alive a process that has nothing else to do.
    for (const timer of this.#timers) timer.unref();
  }

  #send(text: string): void {
    for (const stream of this.#open) {
      stream.push(text);
      if (stream.readableLength <= BUFFER_BYTES_MOST) continue;
      stream.destroy();
      this.#forget(stream);
    }
  }

  /** Nothing may be pushed behind the end, which a slow reader has yet to come to. */
  #end(stream: Readable): void {
    stream.push(null);
    this.#forget(stream);
  }

  #forget(stream: Readable): void {
    if (!this.#open.delete(stream) || this.#open.size > 0) return;
    this.#unsubscribe();
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
  }
}

function dataOf(event: BoardEvent): unknown {
  if (event.event !== 'progress') return { run: event.run };
  const { run, job, progress } = event;
  return { run, job, ...progress };
}

/** JSON has no line breaks, so that one line of data is enough. */
function framed(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
