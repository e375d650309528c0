import type { Socket } from 'node:net';
import type { Client, QueryResultRow } from 'pg';
import type { Target } from './connection-params.ts';

/** How long a goodbye may take before the socket is closed without. */
const GOODBYE_MS = 2_000;

/** One session of the server. The signal it was opened with ends it, and any query with it. */
export class Session implements AsyncDisposable {
  readonly target: Target;
  /** Absent when the server needed none, or none was known. Never to be logged. */
  readonly password: string | undefined;
  readonly #client: Client;
  readonly #socket: Socket;
  readonly #signal: AbortSignal;
  readonly #lost = new AbortController();
  #closing = false;

  constructor(
    client: Client,
    socket: Socket,
    target: Target,
    password: string | undefined,
    signal: AbortSignal,
  ) {
    this.#client = client;
    this.#socket = socket;
    this.target = target;
    this.password = password;
    this.#signal = signal;
    client.on('error', (error) => this.#lose(error));
    client.on('end', () => this.#lose(new Error('the server ended the session')));
    signal.addEventListener('abort', this.#abort, { once: true });
    if (signal.aborted) this.#abort();
  }

  /** Aborts, with the reason, when the session ends without having been closed. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** The rows. Throws what `pg` throws, or the reason of the abort. */
  async query<R extends QueryResultRow>(sql: string, values: readonly unknown[] = []): Promise<R[]> {
    this.#signal.throwIfAborted();
    try {
      const { rows } = await this.#client.query<R>(sql, [...values]);
      return rows;
    } catch (error) {
      this.#signal.throwIfAborted();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    this.#signal.removeEventListener('abort', this.#abort);
    const timer = setTimeout(() => this.#socket.destroy(), GOODBYE_MS);
    await this.#client.end().catch(() => undefined);
    clearTimeout(timer);
    this.#socket.destroy();
  }

  readonly #abort = () => {
    this.#socket.destroy();
  };

  #lose(reason: Error): void {
    if (!this.#closing) this.#lost.abort(reason);
  }
}
