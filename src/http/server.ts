import Fastify, { type FastifyInstance } from 'fastify';
import { BackupError, ERROR_CODES } from '../domain/errors.ts';
import { type HealthReport, withoutDetails } from '../domain/health.ts';
import type { Scope } from '../domain/scopes.ts';
import { Access } from './access.ts';
import { harden, type LimitOptions, limitsOf, nodeLimits } from './limits.ts';
import { answerWithProblems } from './problem.ts';
import { Tokens } from './tokens.ts';

const OPEN_PATHS: readonly string[] = ['/livez', '/readyz', '/health', '/metrics'];
/** Who may know why a request failed: not a scraper. */
const INSIDERS = ['read', 'operate', 'delete', 'restore'] as const satisfies readonly Scope[];

/** What the routes answer from. */
export interface Observed {
  /** Undefined when ready, else why not. */
  notReady(): Promise<string | BackupError | undefined>;
  health(): Promise<HealthReport>;
  metrics(): Promise<{ contentType: string; text: string }>;
  /** Told of what made a route fail. */
  failed(error: BackupError): void;
}

/** The routes that need a token, loaded where there is any. */
export interface ProtectedRoutes {
  serve(server: FastifyInstance, access: Access): void;
  methodsAt(path: string): readonly string[];
  /** Ends what would go on for ever, such as event streams: whoever comes back shows a token again. */
  disconnect(): void;
  /** The same, for good. */
  stop(): void;
}

export interface ServerOptions extends LimitOptions {
  /** Default: nobody has a token, and nothing needs one. */
  access?: Access;
  /** Whether `/metrics` needs a token. Default: public. */
  metrics?: 'public' | 'token';
  tls?: { cert: Buffer; key: Buffer };
  api?: ProtectedRoutes;
}

/** The routes by themselves, for tests that need no socket. */
export function createServer(observed: Observed, options: ServerOptions = {}): FastifyInstance {
  const { access = new Access(new Tokens([]), () => undefined), metrics = 'public', tls, api } = options;
  const limits = limitsOf(options);
  const server: FastifyInstance =
    tls === undefined
      ? Fastify({ ...limits, http: nodeLimits(options) })
      : Fastify({ ...limits, https: { ...nodeLimits(options), ...tls } });
  harden(server, { isTls: tls !== undefined });
  answerWithProblems(server, {
    failed: (error) => observed.failed(error),
    maySee: (request) => access.allows(request, ...INSIDERS),
    methodsAt: (path) => (OPEN_PATHS.includes(path) ? ['GET', 'HEAD'] : (api?.methodsAt(path) ?? [])),
  });
  server.get('/livez', async () => ({ status: 'ok' }));
  server.get('/readyz', async (request, reply) => {
    const fault = await observed.notReady();
    if (fault === undefined) return { status: 'ok' };
    const maySee = access.allows(request, 'read');
    return reply.code(503).send({ status: 'not ready', reason: reasonOf(fault, maySee) });
  });
  server.get('/health', async (request, reply) => {
    const report = await observed.health();
    const maySee = access.allows(request, 'read');
    return reply.code(report.status === 'ok' ? 200 : 503).send(maySee ? report : withoutDetails(report));
  });
  server.get('/metrics', async (request, reply) => {
    if (metrics === 'token') access.admit(request, 'metrics', 'read');
    const { contentType, text } = await observed.metrics();
    return reply.type(contentType).send(text);
  });
  api?.serve(server, access);
  return server;
}

function reasonOf(fault: string | BackupError, maySee: boolean): string {
  if (!(fault instanceof BackupError)) return fault;
  return maySee ? fault.message : ERROR_CODES[fault.code];
}
