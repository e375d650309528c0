import type { Selection } from './selection.ts';

/**
 * The beginning of a query on `dumped`: every table and sequence that pg_dump would read. $1 to $4 are the oids of
 * Selection, as `selectionParameters` gives them; NULL stands for no such pattern.
 *
 * Follows getTables, getOwnedSeqs and processExtensionTables of pg_dump: a table pattern alone decides where
 * there is one; members of an extension are left to it, but for the tables it marked as configuration; an
 * owned sequence goes with its table; foreign tables have no data and views need no right. A partitioned
 * table is locked, which takes the right to read it, yet only its partitions are read.
 */
export const DUMPED = `
WITH relation AS (
  SELECT c.oid, c.relnamespace, c.relname, c.relkind, n.nspname,
         CASE WHEN e.oid IS NOT NULL THEN
           c.oid = ANY (e.extconfig)
           AND ($1::oid[] IS NULL AND $2::oid[] IS NULL OR c.oid = ANY ($2) OR c.relnamespace = ANY ($1))
           AND c.relnamespace <> ALL ($3::oid[])
         WHEN $2::oid[] IS NOT NULL THEN c.oid = ANY ($2)
         WHEN $1::oid[] IS NOT NULL THEN c.relnamespace = ANY ($1) AND c.relnamespace <> ALL ($3::oid[])
         ELSE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relnamespace <> ALL ($3::oid[])
         END AND c.oid <> ALL ($4::oid[]) AS chosen
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                         AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
    LEFT JOIN pg_extension e ON e.oid = d.refobjid
   WHERE c.relkind IN ('r', 'p', 'S') AND c.relpersistence <> 't'
), dumped AS (
  SELECT r.*
    FROM relation r
    LEFT JOIN pg_depend d ON r.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = r.oid
                         AND d.objsubid = 0 AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
    LEFT JOIN relation owner ON owner.oid = d.refobjid
   WHERE CASE WHEN d.deptype = 'i' THEN owner.chosen ELSE r.chosen OR coalesce(owner.chosen, false) END
)`;

export function selectionParameters(selection: Selection): unknown[] {
  return [
    selection.includeSchemas ?? null,
    selection.includeTables ?? null,
    selection.excludeSchemas,
    selection.excludeTables,
  ];
}
