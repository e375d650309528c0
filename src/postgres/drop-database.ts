import { escapeIdentifier } from 'pg';
import type { Session } from './session.ts';

/** The first server that ends the sessions of a database by itself when it is dropped. */
const FORCE_MAJOR = 13;

/** Drops a database if it exists, and ends the sessions in it. Throws what `pg` throws. @param major of the server. */
export async function dropDatabase(session: Session, name: string, major: number): Promise<void> {
  const quoted = escapeIdentifier(name);
  if (major >= FORCE_MAJOR) {
    await session.query(`DROP DATABASE IF EXISTS ${quoted} WITH (FORCE)`);
    return;
  }
  const [row] = await session.query('SELECT 1 FROM pg_catalog.pg_database WHERE datname = $1', [name]);
  if (row === undefined) return;
  await session.query(`ALTER DATABASE ${quoted} ALLOW_CONNECTIONS false`);
  await session.query(
    'SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE datname = $1',
    [name],
  );
  await session.query(`DROP DATABASE IF EXISTS ${quoted}`);
}
