import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { onTestFinished } from 'vitest';
import { type App, composeApp } from '../../src/compose.ts';
import { composeApi } from '../../src/compose-api.ts';
import { loadConfig } from '../../src/config/load.ts';
import { AskedWork } from '../../src/daemon/asked-work.ts';
import { RunQueue } from '../../src/daemon/run-queue.ts';
import { Scheduler } from '../../src/daemon/scheduler.ts';
import type { BackupError } from '../../src/domain/errors.ts';
import type { Manifest, ManifestSummary } from '../../src/domain/manifest.ts';
import { type Scope, SCOPES } from '../../src/domain/scopes.ts';
import { RunBoard } from '../../src/engine/run-board.ts';
import { Access } from '../../src/http/access.ts';
import type { Problem } from '../../src/http/problem.ts';
import {
  createServer,
  type Observed,
  type ProtectedRoutes,
  type ServerOptions,
} from '../../src/http/server.ts';
import { Tokens } from '../../src/http/tokens.ts';
import { temporaryDirectory } from './temp-directory.ts';

/** One token with every scope, one with each alone. */
export const ADMIN = 'admin-0123456789abcdef';
export function tokenOf(scope: Scope): string {
  return `${scope}-0123456789abcdefghij`;
}

const NEVER = '0 0 29 2 *';

export interface ApiBedOptions {
  /** Beside one job, `app`, of a directory: `jobs`, `http` … */
  config?: (directory: string) => object;
  isReady?: () => boolean;
}

interface Reply {
  status: number;
  headers: Record<string, unknown>;
  text: string;
  /** The JSON of the answer. */
  body: Record<string, unknown> & { backups: ManifestSummary[] };
  problem: Problem;
}

export interface ApiBed {
  readonly directory: string;
  readonly app: App;
  readonly board: RunBoard;
  readonly observed: Observed;
  readonly options: Omit<ServerOptions, 'tls'> & { api: ProtectedRoutes };
  /** Of both. */
  readonly server: FastifyInstance;
  readonly failed: BackupError[];
  /** Without a token: `token: ''`. */
  call(method: string, url: string, options?: CallOptions): Promise<Reply>;
  /** Takes a backup of the job, and returns its first archive. */
  backup(job?: string): Promise<Manifest>;
}

export interface CallOptions {
  token?: string;
  body?: unknown;
  headers?: Record<string, string>;
}

/** The API over a real location, with all but the daemon's sleep; jobs back up a small directory. */
export async function openApiBed({
  config = () => ({}),
  isReady = () => true,
}: ApiBedOptions = {}): Promise<ApiBed> {
  const directory = await temporaryDirectory();
  await mkdir(join(directory, 'tree'));
  await writeFile(join(directory, 'tree/note.txt'), 'a note\n');
  const scoped = SCOPES.map((scope) => ({ name: scope, token: tokenOf(scope), scopes: [scope] }));
  const tokens = [{ name: 'admin', token: ADMIN, scopes: SCOPES }, ...scoped];
  const { http, ...rest } = config(directory) as { http?: object };
  const path = join(directory, 'config.json');
  const sources = [{ type: 'files', name: 'tree', directories: ['./tree'] }];
  const all = {
    location: './location',
    jobs: { app: { schedule: NEVER, sources } },
    ...rest,
    http: { tokens, ...http },
  };
  await writeFile(path, JSON.stringify(all));
  const loaded = (await loadConfig({ path, env: {}, cwd: directory })).config;
  const log = pino({ level: 'silent' });
  const app = await composeApp(loaded, log, { create: true });
  const board = new RunBoard(app.context.journal);
  const scheduler = new Scheduler(app.context, new RunQueue(loaded.concurrency), []);
  const parts = { app, log, board, scheduler, asked: new AskedWork(), isReady };
  const failed: BackupError[] = [];
  const observed: Observed = {
    notReady: async () => undefined,
    health: () => app.status.health(app.jobs, scheduler.running()),
    metrics: async () => ({ contentType: 'text/plain', text: 'cofre_up 1\n' }),
    failed: (error) => failed.push(error),
  };
  const options = {
    metrics: loaded.http.metrics,
    trustedProxies: loaded.http.trustedProxies,
    access: new Access(new Tokens(loaded.http.tokens), () => undefined),
    api: composeApi({ ...parts, jobs: () => app.jobs, config: () => loaded }),
  };
  const server = createServer(observed, options);
  onTestFinished(async () => {
    await server.close();
    // What was begun and not waited for must not outlive its directory.
    await Promise.all([scheduler, parts.asked].map((service) => service.run(AbortSignal.abort())));
  });
  const call: ApiBed['call'] = async (method, url, { token = ADMIN, body, headers } = {}) => {
    const reply = await server.inject({
      method: method as 'GET',
      url,
      headers: { ...(token === '' ? {} : { authorization: `Bearer ${token}` }), ...headers },
      ...(body === undefined ? {} : { payload: body as object }),
    });
    const parsed = () => JSON.parse(reply.body) as never;
    return {
      status: reply.statusCode,
      headers: reply.headers,
      text: reply.body,
      get body(): Reply['body'] {
        return parsed();
      },
      get problem(): Problem {
        return parsed();
      },
    };
  };
  const backup = async (job = 'app') => {
    const { body, text } = await call('POST', '/api/v1/backups?wait=true', { body: { job } });
    const [run] = body['runs'] as { archives: Manifest[] }[];
    const archive = run?.archives[0];
    if (archive === undefined) throw new Error(`no archive: ${text}`);
    return archive;
  };
  return { directory, app, board, observed, options, server, failed, call, backup };
}
