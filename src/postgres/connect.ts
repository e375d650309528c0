import { Socket } from 'node:net';
import type { Client } from 'pg';
import { BackupError } from '../domain/errors.ts';
import { connectError, mayDifferWithoutTls } from './connect-errors.ts';
import {
  type ConnectionParams,
  describeTarget,
  type SessionAttrs,
  type Target,
} from './connection-params.ts';
import { LoginPolicy, PasswordMissingError } from './login-policy.ts';
import { Session } from './session.ts';
import { type TlsAttempt, tlsAttempts } from './tls.ts';

/** `pg` takes what it is not given from the PG* variables of this process, whatever environment was meant. */
interface WithParameters {
  connectionParameters: { options: string | undefined; replication: string | undefined };
}

/** A session that holds a lock is silent for hours: a server that vanished must be noticed all the same. */
const KEEPALIVE_IDLE_S = 60;

/**
 * Opens a session at the first server that answers and is of the wanted kind, as libpq chooses among several.
 * A server that refuses the login ends the search.
 *
 * Throws SERVER_UNREACHABLE, SERVER_AUTH or CONFIG_INVALID, or the reason of the abort.
 */
export async function connect(
  params: ConnectionParams,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Session> {
  const targets = params.shuffle ? shuffled(params.targets) : params.targets;
  const wanted = params.sessionAttrs;
  if (wanted !== 'prefer-standby') return await connectToFirst(targets, wanted, params, env, signal);
  try {
    return await connectToFirst(targets, 'standby', params, env, signal);
  } catch (error) {
    if (!(error instanceof BackupError) || error.code !== 'SERVER_UNREACHABLE') throw error;
    return await connectToFirst(targets, 'any', params, env, signal);
  }
}

async function connectToFirst(
  targets: readonly Target[],
  wanted: SessionAttrs,
  params: ConnectionParams,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Session> {
  const failures: BackupError[] = [];
  for (const target of targets) {
    try {
      return await connectToTarget(target, wanted, params, env, signal);
    } catch (error) {
      if (!(error instanceof BackupError) || error.code !== 'SERVER_UNREACHABLE') throw error;
      failures.push(error);
    }
  }
  throw new BackupError('SERVER_UNREACHABLE', failures.map((failure) => failure.message).join('; '), {
    hint: failures[0]?.hint ?? '',
    cause: failures[0],
  });
}

async function connectToTarget(
  target: Target,
  wanted: SessionAttrs,
  params: ConnectionParams,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Session> {
  const session = await login(target, params, env, signal);
  try {
    if (wanted === 'any' || (await isOfKind(session, wanted))) return session;
  } catch (error) {
    await session[Symbol.asyncDispose]();
    signal.throwIfAborted();
    throw connectError(error, params, target);
  }
  await session[Symbol.asyncDispose]();
  throw new BackupError('SERVER_UNREACHABLE', `the server at ${describeTarget(target)} is not ${wanted}`, {
    hint: 'Wait for the failover to end, or correct hosts and target_session_attrs in the connection URI.',
  });
}

async function login(
  target: Target,
  params: ConnectionParams,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Session> {
  const password = await params.password(target);
  const attempts = await tlsAttempts(params, target, env);
  for (const [at, tls] of attempts.entries()) {
    signal.throwIfAborted();
    try {
      return await attempt(target, tls, params, password, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (at === attempts.length - 1 || !mayDifferWithoutTls(error))
        throw connectError(error, params, target);
    }
  }
  throw new RangeError('there was nothing to attempt');
}

async function attempt(
  target: Target,
  tls: TlsAttempt,
  params: ConnectionParams,
  password: string | undefined,
  signal: AbortSignal,
): Promise<Session> {
  // Loaded with the first session: most of what a daemon or a command does needs none.
  const { Client: PgClient } = await import('pg');
  const policy = new LoginPolicy(params);
  const socket = new Socket();
  const { given } = params;
  const client = new PgClient({
    host: target.hostaddr ?? target.host,
    port: target.port,
    user: params.user,
    database: params.database,
    application_name: params.applicationName,
    ssl: tls,
    sslnegotiation: tls !== false && given.get('sslnegotiation') === 'direct' ? 'direct' : 'postgres',
    enableChannelBinding: policy.wantsBinding,
    connectionTimeoutMillis: params.connectTimeout_ms,
    keepAlive: given.get('keepalives') !== '0',
    keepAliveInitialDelayMillis: Number(given.get('keepalives_idle') ?? KEEPALIVE_IDLE_S) * 1000,
    stream: () => socket,
    password: () => {
      policy.assertAllowed();
      if (password === undefined)
        throw new PasswordMissingError('the server asks for a password, none is given');
      return password;
    },
  });
  const { connectionParameters } = client as Client & WithParameters;
  connectionParameters.options = given.get('options');
  connectionParameters.replication = undefined;
  policy.watch(client.connection);
  const abort = () => socket.destroy(new Error('aborted'));
  signal.addEventListener('abort', abort, { once: true });
  // A connection that fails twice, at the login and then at its end, must not bring the program down.
  client.on('error', () => undefined);
  try {
    await client.connect();
    policy.assertAllowed();
    return new Session(client, socket, target, password, signal);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function isOfKind(session: Session, wanted: Exclude<SessionAttrs, 'any'>): Promise<boolean> {
  const [row] = await session.query<{ standby: boolean; read_only: boolean }>(
    `SELECT pg_catalog.pg_is_in_recovery() AS standby,
            pg_catalog.current_setting('default_transaction_read_only') = 'on' AS read_only`,
  );
  const standby = row?.standby === true;
  const readOnly = standby || row?.read_only === true;
  switch (wanted) {
    case 'read-write':
      return !readOnly;
    case 'read-only':
      return readOnly;
    case 'primary':
      return !standby;
    case 'standby':
    case 'prefer-standby':
      return standby;
    default:
      return wanted satisfies never;
  }
}

function shuffled<T>(items: readonly T[]): T[] {
  return items
    .map((item) => ({ item, order: Math.random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item);
}
