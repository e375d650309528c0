import { escapeIdentifier } from 'pg';
import type { TableContents } from '../../domain/manifest.ts';
import type { Session } from '../../postgres/session.ts';

/**
 * Rows of each table's own, as pg_dump copies them: those of partitions and of tables that inherit from it are
 * counted with these. Undefined where there is no such table. Throws rather than count less than there is when
 * row security hides rows from the role.
 */
export async function countTableRows(
  session: Session,
  tables: readonly Pick<TableContents, 'schema' | 'name'>[],
): Promise<(number | undefined)[]> {
  await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  await session.query('SET LOCAL statement_timeout = 0');
  await session.query('SET LOCAL row_security = off');
  const known = await session.query<{ at: string; schema: string }>(
    `SELECT wanted.at, n.nspname AS schema
       FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (schema, name, at)
       JOIN pg_catalog.pg_class c ON c.relname = wanted.name AND c.relkind IN ('r', 'p')
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE CASE WHEN wanted.schema = '' THEN pg_catalog.pg_table_is_visible(c.oid)
                 ELSE n.nspname = wanted.schema END`,
    [tables.map(({ schema }) => schema), tables.map(({ name }) => name)],
  );
  const schemas = new Map(known.map(({ at, schema }) => [Number(at) - 1, schema]));
  const counts: (number | undefined)[] = [];
  for (const [at, { name }] of tables.entries()) {
    const schema = schemas.get(at);
    counts.push(schema === undefined ? undefined : await count(session, schema, name));
  }
  await session.query('COMMIT');
  return counts;
}

/** Positions of the tables whose names something has in the session's database. */
export async function namesTaken(
  session: Session,
  tables: readonly Pick<TableContents, 'schema' | 'name'>[],
): Promise<Set<number>> {
  const found = await session.query<{ at: string }>(
    `SELECT wanted.at
       FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (schema, name, at)
      WHERE EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                     WHERE c.relname = wanted.name AND n.nspname = wanted.schema)`,
    [tables.map(({ schema }) => schema), tables.map(({ name }) => name)],
  );
  return new Set(found.map(({ at }) => Number(at) - 1));
}

async function count(session: Session, schema: string, name: string): Promise<number> {
  const table = `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`;
  const [row] = await session.query<{ rows: string }>(`SELECT count(*) AS rows FROM ONLY ${table}`);
  return Number(row?.rows);
}
