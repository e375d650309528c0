import { escapeIdentifier } from 'pg';
import type { Session } from './session.ts';

/** The first server with subscriptions. */
const SUBSCRIPTIONS_MAJOR = 10;

/** Names of the subscriptions of a database, which a server does not drop with it. Throws what `pg` throws. */
export async function subscriptionsOf(session: Session, database: string, major: number): Promise<string[]> {
  if (major < SUBSCRIPTIONS_MAJOR) return [];
  const rows = await session.query<{ name: string }>(
    `SELECT subname::text AS name
       FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_database d ON d.oid = s.subdbid
      WHERE d.datname = $1 ORDER BY 1`,
    [database],
  );
  return rows.map(({ name }) => name);
}

/**
 * Drops subscriptions of the session's database without a word to their publishers, whose slots stay. Only for those
 * that a restore made: the slots belong to the subscriptions that these are copies of.
 */
export async function forgetSubscriptions(session: Session, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const subscription = `SUBSCRIPTION ${escapeIdentifier(name)}`;
    await session.query(`ALTER ${subscription} DISABLE`);
    await session.query(`ALTER ${subscription} SET (slot_name = NONE)`);
    await session.query(`DROP ${subscription}`);
  }
}
