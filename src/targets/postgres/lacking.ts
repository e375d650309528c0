import type { DumpNeeds } from '../../domain/dump-survey.ts';
import type { Lacking } from '../../domain/restore-ports.ts';
import type { Session } from '../../postgres/session.ts';

/** Names that the server keeps for itself. */
const RESERVED = /^pg_/;

/** What a dump needs and this server does not have. */
export async function findLacking(session: Session, needs: DumpNeeds): Promise<Lacking> {
  const missing = async (wanted: readonly string[], sql: string): Promise<string[]> => {
    const rows = await session.query<{ name: string }>(sql);
    const existing = new Set(rows.map(({ name }) => name));
    return wanted.filter((name) => !existing.has(name) && !RESERVED.test(name));
  };
  return {
    roles: await missing(needs.roles, 'SELECT rolname::text AS name FROM pg_catalog.pg_roles'),
    extensions: await missing(
      needs.extensions,
      'SELECT name::text AS name FROM pg_catalog.pg_available_extensions',
    ),
    tablespaces: await missing(
      needs.tablespaces,
      'SELECT spcname::text AS name FROM pg_catalog.pg_tablespace',
    ),
  };
}
