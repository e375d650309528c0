import type { Session } from './session.ts';

/** What a server has that a dump may need, by name. */
const QUERIES = {
  roles: 'SELECT rolname::text AS name FROM pg_catalog.pg_roles',
  /** That can be made: those whose files are installed on its machine. */
  extensions: 'SELECT name::text AS name FROM pg_catalog.pg_available_extensions',
  tablespaces: 'SELECT spcname::text AS name FROM pg_catalog.pg_tablespace',
} as const;

/** Throws what `pg` throws. */
export async function namesOnServer(session: Session, kind: keyof typeof QUERIES): Promise<Set<string>> {
  const rows = await session.query<{ name: string }>(QUERIES[kind]);
  return new Set(rows.map(({ name }) => name));
}

/** Those of the names that the server does not have, in their order. Throws what `pg` throws. */
export async function missingOnServer(
  session: Session,
  kind: keyof typeof QUERIES,
  names: readonly string[],
): Promise<string[]> {
  const existing = await namesOnServer(session, kind);
  return names.filter((name) => !existing.has(name));
}
