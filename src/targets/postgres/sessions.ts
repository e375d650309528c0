import { setTimeout as delay } from 'node:timers/promises';
import type { Session } from '../../postgres/session.ts';

/** How long a server that was told to end a session may take; rolling back much takes a while. */
const END_MS = 20_000;
const POLL_MS = 50;
const NAMED_MAX = 5;

/**
 * Ends the sessions of a program that was killed, and waits until they are gone: the server notices a client
 * that vanished only when it next reads or writes.
 */
export async function endSessions(session: Session, applicationName: string): Promise<void> {
  const deadline = performance.now() + END_MS;
  for (;;) {
    const rows = await session.query<{ pid: number }>(
      `SELECT pid, pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
        WHERE application_name = $1 AND usename = session_user AND pid <> pg_catalog.pg_backend_pid()`,
      [applicationName],
    );
    if (rows.length === 0 || performance.now() > deadline) return;
    await delay(POLL_MS);
  }
}

/** Sessions of others in a database, for people: `pid 123 (psql, user alice)`; at most 5 and how many more. */
export async function sessionsIn(session: Session, database: string): Promise<string[]> {
  const rows = await session.query<{ pid: number; application: string | null; role: string | null }>(
    `SELECT pid, application_name AS application, usename::text AS role FROM pg_catalog.pg_stat_activity
      WHERE datname = $1 AND pid <> pg_catalog.pg_backend_pid() AND backend_type <> 'autovacuum worker'
      ORDER BY pid`,
    [database],
  );
  const named = rows.slice(0, NAMED_MAX).map(({ pid, application, role }) => {
    const what = application === null || application === '' ? 'no application name' : application;
    return `pid ${pid} (${what}, user ${role ?? 'unknown'})`;
  });
  return rows.length > NAMED_MAX ? [...named, `${rows.length - NAMED_MAX} more`] : named;
}
