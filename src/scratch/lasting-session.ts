import { connect } from '../postgres/connect.ts';
import type { ConnectionParams } from '../postgres/connection-params.ts';
import type { Session } from '../postgres/session.ts';

/** How long a query may take to its end once nobody wants its result any more. */
const GRACE_MS = 10_000;

/**
 * A session that an abort does not end at once: what was made through it is to be unmade through it. A query
 * that still runs ten seconds after the abort, as on a network that went away, ends with the session.
 * @param signal ends the attempt to connect at once.
 */
export async function connectForLife(
  params: ConnectionParams,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<Session> {
  signal.throwIfAborted();
  const life = new AbortController();
  const end = () => life.abort(signal.reason);
  signal.addEventListener('abort', end, { once: true });
  let session: Session;
  try {
    session = await connect(params, env, life.signal);
  } finally {
    signal.removeEventListener('abort', end);
  }
  signal.addEventListener('abort', () => setTimeout(end, GRACE_MS).unref(), { once: true });
  try {
    // Some servers end what their roles do after seconds; to make or drop a database may take longer.
    await session.query('SET statement_timeout = 0');
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
  return session;
}
