import Fastify, { type FastifyInstance } from 'fastify';
import { BackupError, toBackupError } from '../domain/errors.ts';
import type { HealthReport } from '../domain/health.ts';
import type { Service } from '../domain/ports.ts';

/** Nobody sends a body to these routes. */
const BODY_BYTES_MAX = 1024;
const REQUEST_TIMEOUT_MS = 30_000;

/** What the routes answer from. */
export interface Observed {
  /** Undefined when ready, else why not. */
  notReady(): Promise<string | undefined>;
  health(): Promise<HealthReport>;
  metrics(): Promise<{ contentType: string; text: string }>;
  /** Told of what made a route fail. */
  failed(error: BackupError): void;
}

export interface HttpOptions {
  host: string;
  /** 0: any free one. */
  port: number;
  /** Told once, with the address that is listened on. */
  onListening: (url: string) => void;
}

/** Serves `/livez`, `/readyz`, `/health` and `/metrics` until it is stopped. */
export class HttpServer implements Service {
  readonly id = 'http';
  readonly #observed: Observed;
  readonly #options: HttpOptions;

  constructor(observed: Observed, options: HttpOptions) {
    this.#observed = observed;
    this.#options = options;
  }

  /** Throws ADDRESS_IN_USE when the address cannot be listened on. */
  async run(signal: AbortSignal): Promise<void> {
    const server = createServer(this.#observed);
    const { host, port } = this.#options;
    try {
      this.#options.onListening(await server.listen({ host, port }));
    } catch (error) {
      throw new BackupError(
        'ADDRESS_IN_USE',
        `cannot listen on ${host}:${port}: ${(error as Error).message}`,
        {
          hint: 'Choose another address with `http` in the configuration, or COFRE_HTTP_HOST and COFRE_HTTP_PORT.',
          cause: error,
        },
      );
    }
    if (!signal.aborted) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    }
    await server.close();
  }
}

/** The routes by themselves, for tests that need no socket. */
export function createServer(observed: Observed): FastifyInstance {
  const server = Fastify({
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: REQUEST_TIMEOUT_MS,
    // A scraper's idle connection must not hold up a shutdown.
    forceCloseConnections: true,
  });
  server.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
  });
  server.get('/livez', async () => ({ status: 'ok' }));
  server.get('/readyz', async (_request, reply) => {
    const reason = await observed.notReady();
    if (reason === undefined) return { status: 'ok' };
    return reply.code(503).send({ status: 'not ready', reason });
  });
  server.get('/health', async (_request, reply) => {
    const report = await observed.health();
    return reply.code(report.status === 'ok' ? 200 : 503).send(report);
  });
  server.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await observed.metrics();
    return reply.type(contentType).send(text);
  });
  server.setNotFoundHandler(async (request, reply) => {
    const message = `there is nothing to ${request.method} at this path`;
    return reply.code(404).send({ error: { code: 'USAGE', message } });
  });
  server.setErrorHandler(async (error, _request, reply) => {
    const { statusCode } = error as { statusCode?: number };
    if (statusCode !== undefined && statusCode < 500) {
      return reply.code(statusCode).send({ error: { code: 'USAGE', message: (error as Error).message } });
    }
    const fault = toBackupError(error);
    observed.failed(fault);
    return reply.code(500).send({ error: fault });
  });
  return server;
}
