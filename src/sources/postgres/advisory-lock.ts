import { createHash } from 'node:crypto';
import { BackupError } from '../../domain/errors.ts';
import type { Session } from '../../postgres/session.ts';

/** The first key of every lock of ours: `cofr` in ASCII. */
export const LOCK_CLASS = 0x636f6672;

/**
 * The second key: the first four bytes of the SHA-256 of `<source>/<database>`, as a signed integer. In SQL:
 * `('x' || substr(encode(sha256('app/shop'), 'hex'), 1, 8))::bit(32)::int`.
 */
export function lockObject(source: string, database: string): number {
  return createHash('sha256').update(`${source}/${database}`).digest().readInt32BE(0);
}

/** Takes the lock for as long as the session lives. Throws SERVER_BUSY when another session holds it. */
export async function takeAdvisoryLock(
  session: Session,
  source: string,
  database: string,
  major: number,
): Promise<void> {
  const keys = [LOCK_CLASS, lockObject(source, database)];
  // The session idles while pg_dump works.
  if (major >= 14) await session.query('SET idle_session_timeout = 0');
  const [row] = await session.query<{ taken: boolean }>(
    'SELECT pg_catalog.pg_try_advisory_lock($1::int, $2::int) AS taken',
    keys,
  );
  if (row?.taken === true) return;
  const holders = await session.query<{ pid: number }>(
    `SELECT l.pid FROM pg_catalog.pg_locks l
      WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
        AND l.classid::bigint = $1::bigint AND l.objid::bigint = $2::bigint
        AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`,
    [LOCK_CLASS, lockObject(source, database) >>> 0],
  );
  const by =
    holders.length === 0 ? '' : ` (process ${holders.map(({ pid }) => pid).join(', ')} of the server)`;
  throw new BackupError('SERVER_BUSY', `another session${by} holds the advisory lock of source ${source}`, {
    path: source,
    hint: `Wait until it ends; SELECT pg_terminate_backend(pid) ends it. Its keys are ${keys.join(' and ')}.`,
  });
}
