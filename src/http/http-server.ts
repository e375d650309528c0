import type { Server } from 'node:https';
import type { FastifyInstance } from 'fastify';
import type { Service } from '../domain/ports.ts';
import { aborted } from '../lib/abort.ts';
import { type Endpoint, listen, readTls, type TlsFiles } from './listen.ts';
import { createServer, type Observed, type ProtectedRoutes, type ServerOptions } from './server.ts';

/** How long answers that are under way at a shutdown get to reach whoever asked. */
const SETTLE_MS = 2_000;

export interface HttpOptions extends Endpoint, Omit<ServerOptions, 'tls' | 'api'> {
  tls?: TlsFiles;
  /** Loads the routes that need a token; absent: there are none. */
  loadApi?: () => Promise<ProtectedRoutes>;
  /** Told once, with the address that is listened on. */
  onListening: (url: string) => void;
}

/** Serves health, metrics and the API until it is stopped. */
export class HttpServer implements Service {
  readonly id = 'http';
  readonly #observed: Observed;
  readonly #options: HttpOptions;
  #server: FastifyInstance | undefined;
  #api: ProtectedRoutes | undefined;

  constructor(observed: Observed, options: HttpOptions) {
    this.#observed = observed;
    this.#options = options;
  }

  /** Throws ADDRESS_IN_USE when the address cannot be listened on, CONFIG_INVALID for a certificate of no use. */
  async run(signal: AbortSignal): Promise<void> {
    const { tls, loadApi, onListening, ...options } = this.#options;
    const api = await loadApi?.();
    this.#api = api;
    const server = createServer(this.#observed, {
      ...options,
      ...(tls === undefined ? {} : { tls: await readTls(tls) }),
      ...(api === undefined ? {} : { api }),
    });
    const pending = new Pending(server);
    onListening(await listen(server, options));
    this.#server = server;
    await aborted(signal);
    api?.stop();
    await pending.settled();
    await server.close();
  }

  /** Ends what was opened with tokens that are good no longer, such as event streams. */
  disconnect(): void {
    this.#api?.disconnect();
  }

  /** Reads the files of the certificate again. Throws CONFIG_INVALID, and goes on with the old one. */
  async reloadTls(): Promise<void> {
    const { tls } = this.#options;
    if (tls === undefined || this.#server === undefined) return;
    (this.#server.server as unknown as Server).setSecureContext(await readTls(tls));
  }
}

/** The answers of a server that are under way. */
class Pending {
  #count = 0;
  #onSettled: () => void = () => undefined;

  constructor(server: FastifyInstance) {
    server.addHook('onRequest', async () => {
      this.#count += 1;
    });
    server.addHook('onResponse', async () => {
      this.#count -= 1;
      if (this.#count === 0) this.#onSettled();
    });
  }

  /** Resolves when there are none, or they take too long. */
  async settled(): Promise<void> {
    if (this.#count === 0) return;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    this.#onSettled = () => resolve(undefined);
    const timer = setTimeout(this.#onSettled, SETTLE_MS);
    await promise;
    clearTimeout(timer);
  }
}
