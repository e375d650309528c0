import type { Finding } from '../../domain/ports.ts';
import { identifier } from '../../postgres/connect-errors.ts';
import { DUMPED, selectionParameters } from './dumped-relations.ts';
import type { Selection } from './selection.ts';
import type { Session } from '../../postgres/session.ts';

/** How many large objects a message names. */
const OIDS_SHOWN = 5;

interface Row {
  schema: string;
  name: string;
  sequence: boolean;
  usable: boolean;
  readable: boolean;
  rows_hidden: boolean;
}

/**
 * Every table and sequence that pg_dump would read and the role may not, and every schema that it needs and
 * may not use.
 */
const UNREADABLE = `${DUMPED}, judged AS (
  SELECT nspname AS schema, relname AS name, relkind = 'S' AS sequence,
         has_schema_privilege(relnamespace, 'USAGE') AS usable,
         CASE relkind WHEN 'S' THEN has_sequence_privilege(oid, 'SELECT')
                      ELSE has_table_privilege(oid, 'SELECT') END AS readable,
         relkind = 'r' AND row_security_active(oid) AS rows_hidden
    FROM dumped
)
SELECT * FROM judged WHERE NOT (usable AND readable AND NOT rows_hidden) ORDER BY schema, name`;

/** One finding for each; the session must be inside a transaction with an empty search path. */
export async function findUnreadable(
  session: Session,
  selection: Selection,
  role: string,
): Promise<Finding[]> {
  const rows = await session.query<Row>(UNREADABLE, selectionParameters(selection));
  const findings: Finding[] = [];
  const schemas = new Set(rows.filter(({ usable }) => !usable).map(({ schema }) => schema));
  for (const schema of schemas) {
    findings.push({
      severity: 'error',
      code: 'UNREADABLE',
      path: schema,
      message: `the role "${role}" may not use the schema ${schema}`,
      hint: `GRANT USAGE ON SCHEMA ${identifier(schema)} TO ${identifier(role)};`,
    });
  }
  for (const { schema, name, sequence, readable, rows_hidden: hidden } of rows) {
    const path = `${schema}.${name}`;
    const kind = sequence ? 'sequence' : 'table';
    if (!readable) {
      const object = `${kind.toUpperCase()} ${identifier(schema)}.${identifier(name)}`;
      findings.push({
        severity: 'error',
        code: 'UNREADABLE',
        path,
        message: `the role "${role}" may not read the ${kind} ${path}`,
        hint: `GRANT SELECT ON ${object} TO ${identifier(role)};`,
      });
    }
    if (hidden) {
      findings.push({
        severity: 'error',
        code: 'UNREADABLE',
        path,
        message: `row level security hides rows of the table ${path} from the role "${role}"`,
        hint: `ALTER ROLE ${identifier(role)} BYPASSRLS;`,
      });
    }
  }
  return findings;
}

/** Large objects go into a dump that includes everything. There may be millions: one finding stands for all. */
export async function findUnreadableLargeObjects(
  session: Session,
  role: string,
  major: number,
): Promise<Finding[]> {
  const readable =
    major >= 18
      ? "has_largeobject_privilege(m.oid, 'SELECT')"
      : `pg_has_role(m.lomowner, 'USAGE') OR EXISTS (
           SELECT FROM aclexplode(m.lomacl) a
            WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))`;
  const [row] = await session.query<{ count: string; first: string[] | null }>(
    `SELECT count(*)::text AS count, (array_agg(m.oid::text ORDER BY m.oid))[1:${OIDS_SHOWN}] AS first
       FROM pg_largeobject_metadata m
      WHERE current_setting('lo_compat_privileges') = 'off' AND NOT (${readable})`,
  );
  const [example] = row?.first ?? [];
  if (row === undefined || example === undefined) return [];
  const names = (row.first ?? []).join(', ');
  const more = Number(row.count) > OIDS_SHOWN ? ', …' : '';
  return [
    {
      severity: 'error',
      code: 'UNREADABLE',
      path: `large object ${example}`,
      message: `the role "${role}" may not read ${row.count} large objects: ${names}${more}`,
      hint: `For each: GRANT SELECT ON LARGE OBJECT ${example} TO ${identifier(role)};`,
    },
  ];
}
