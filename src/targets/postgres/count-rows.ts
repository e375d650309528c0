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
  const known = await session.query<Known>(
    `SELECT wanted.at, n.nspname AS schema, c.relname AS name
       FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (schema, name, at)
       JOIN pg_catalog.pg_class c ON c.relname = wanted.name AND c.relkind IN ('r', 'p')
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE CASE WHEN wanted.schema = '' THEN pg_catalog.pg_table_is_visible(c.oid)
                 ELSE n.nspname = wanted.schema END`,
    [tables.map(({ schema }) => schema), tables.map(({ name }) => name)],
  );
  const found = new Map(known.map(({ at, ...table }) => [Number(at) - 1, table]));
  const others = [...tables.entries()].filter(([at, table]) => !found.has(at) && isOfBytes(table));
  for (const { at, ...table } of await findByBytes(session, others)) found.set(Number(at), table);
  const counts: (number | undefined)[] = [];
  for (const at of tables.keys()) {
    const table = found.get(at);
    counts.push(table === undefined ? undefined : await count(session, table.schema, table.name));
  }
  await session.query('COMMIT');
  return counts;
}

interface Known {
  at: string;
  schema: string;
  name: string;
}

/** Whether the name may stand for bytes that were no UTF-8: it is then recorded as if they were Latin-1. */
function isOfBytes({ schema, name }: Pick<TableContents, 'schema' | 'name'>): boolean {
  return /^[\0-\xff]*[\x80-\xff][\0-\xff]*$/.test(`${schema}.${name}`);
}

/** The tables whose names are, in the encoding of the database, bytes that are recorded as Latin-1. */
async function findByBytes(
  session: Session,
  tables: readonly (readonly [number, Pick<TableContents, 'schema' | 'name'>])[],
): Promise<Known[]> {
  if (tables.length === 0) return [];
  const hexOf = (text: string) => Buffer.from(text, 'latin1').toString('hex');
  const bytesOf = (column: string) =>
    `pg_catalog.encode(pg_catalog.convert_to(${column}::text, pg_catalog.getdatabaseencoding()), 'hex')`;
  return await session.query<Known>(
    `SELECT wanted.at, n.nspname AS schema, c.relname AS name
       FROM unnest($1::text[], $2::text[], $3::text[]) AS wanted (at, schema, name)
       JOIN pg_catalog.pg_class c ON ${bytesOf('c.relname')} = wanted.name AND c.relkind IN ('r', 'p')
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND ${bytesOf('n.nspname')} = wanted.schema`,
    [
      tables.map(([at]) => String(at)),
      tables.map(([, { schema }]) => hexOf(schema)),
      tables.map(([, { name }]) => hexOf(name)),
    ],
  );
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
