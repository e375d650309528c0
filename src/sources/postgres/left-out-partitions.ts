import type { Finding } from '../../domain/ports.ts';
import { identifier } from '../../postgres/connect-errors.ts';
import type { Session } from '../../postgres/session.ts';
import { DUMPED, selectionParameters } from './dumped-relations.ts';
import type { Selection } from './selection.ts';

interface Row {
  schema: string;
  name: string;
  partitions: number;
  example_schema: string;
  example: string;
}

/** Partitions of tables that are dumped, which are not dumped, and which no exclude pattern names. */
const LEFT_OUT = `${DUMPED}
SELECT p.nspname AS schema, p.relname AS name, count(*)::int AS partitions,
       (array_agg(n.nspname ORDER BY n.nspname, c.relname))[1] AS example_schema,
       (array_agg(c.relname ORDER BY n.nspname, c.relname))[1] AS example
  FROM dumped p
  JOIN pg_inherits i ON i.inhparent = p.oid
  JOIN pg_class c ON c.oid = i.inhrelid AND c.relkind IN ('r', 'p')
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE p.relkind = 'p' AND c.oid NOT IN (SELECT oid FROM dumped)
   AND c.oid <> ALL ($4::oid[]) AND c.relnamespace <> ALL ($3::oid[])
 GROUP BY p.nspname, p.relname ORDER BY 1, 2`;

/**
 * The rows of a partitioned table are in its partitions, and pg_dump takes a partition only where a pattern names it.
 * One finding for each table that would be dumped without; the session must have an empty search path.
 */
export async function findLeftOutPartitions(session: Session, selection: Selection): Promise<Finding[]> {
  const rows = await session.query<Row>(LEFT_OUT, selectionParameters(selection));
  return rows.map(({ schema, name, partitions, example_schema, example }) => {
    const count = `${partitions} of its partitions`;
    return {
      severity: 'warning',
      code: 'ROWS_LEFT_OUT',
      path: `${schema}.${name}`,
      message: `the partitioned table ${schema}.${name} is dumped without ${count}, such as ${example_schema}.${example}: no archive has their rows`,
      hint: `Add them to include.tables, such as ${identifier(example_schema)}.${identifier(example)}, or leave them out on purpose with exclude.tables.`,
    };
  });
}
