import { createHash } from 'node:crypto';
import { dropDatabase } from '../postgres/drop-database.ts';
import type { Session } from '../postgres/session.ts';
import { forgetSubscriptions, subscriptionsOf } from '../postgres/subscriptions.ts';

export const PREFIX = 'cofre_drill_';
const NAME = '^cofre_drill_[0-9a-f]{16}$';
/** The first key of the locks: `cofd` in ASCII. */
const LOCK_CLASS = 0x636f6664;
/** The first server that may end a session because it is idle, as ours is during a drill. */
const IDLE_TIMEOUT_MAJOR = 14;

/** Opens a session in a database of the server. */
export type OpenIn = (database: string) => Promise<Session>;

/** The second key: the first four bytes of the SHA-256 of the name, as a signed integer. */
function lockKey(name: string): number {
  return createHash('sha256').update(name).digest().readInt32BE(0);
}

/** Locks the name of a database for as long as the session lives, which tells others that a drill uses it. */
export async function holdName(session: Session, name: string, major: number): Promise<void> {
  if (major >= IDLE_TIMEOUT_MAJOR) await session.query('SET idle_session_timeout = 0');
  await session.query('SELECT pg_catalog.pg_advisory_lock($1::int, $2::int)', [LOCK_CLASS, lockKey(name)]);
}

/**
 * Drops the databases of drills whose session has ended: called like one of a drill, with a name that
 * nobody holds. What cannot be dropped, as it is of another role, stays.
 * @returns their names.
 */
export async function dropLeftovers(
  session: Session,
  major: number,
  openIn: OpenIn,
  signal: AbortSignal,
): Promise<string[]> {
  const dropped: string[] = [];
  for (const { name } of await leftovers(session)) {
    signal.throwIfAborted();
    try {
      await dropScratch(session, name, major, openIn);
      dropped.push(name);
    } catch {
      signal.throwIfAborted();
    }
  }
  return dropped;
}

/**
 * Drops a database of a drill, with the subscriptions that were restored into it, which would keep it. Throws what
 * `pg` throws.
 */
export async function dropScratch(
  session: Session,
  name: string,
  major: number,
  openIn: OpenIn,
): Promise<void> {
  const subscriptions = await subscriptionsOf(session, name, major);
  if (subscriptions.length > 0) {
    await using inside = await openIn(name);
    await forgetSubscriptions(inside, subscriptions);
  }
  await dropDatabase(session, name, major);
}

/** Looks for the locks in all databases, as they are held in whichever a drill has for its maintenance. */
async function leftovers(session: Session): Promise<{ name: string }[]> {
  const found = await session.query<{ name: string }>(
    'SELECT datname::text AS name FROM pg_catalog.pg_database WHERE datname ~ $1 ORDER BY 1',
    [NAME],
  );
  const locks = await session.query<{ key: string }>(
    `SELECT objid::bigint::text AS key FROM pg_catalog.pg_locks
      WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid::bigint = $1::bigint`,
    [LOCK_CLASS],
  );
  const held = new Set(locks.map(({ key }) => Number(key)));
  return found.filter(({ name }) => !held.has(lockKey(name) >>> 0));
}
