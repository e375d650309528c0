import { printable } from '../../domain/printable.ts';
import type { Session } from '../../postgres/session.ts';

/** How many are named; one line more says how many others there are. */
const NAMED_MAX = 20;
/** What initdb makes has a smaller OID; the same bound is in pg_dump. */
const FIRST_USER_OID = 16_384;

/** Catalogs of what a database may hold, those first that people think of first. */
const CATALOGS: readonly {
  name: string;
  /** The first major that has it. */
  since?: number;
  where?: string;
  /** The catalog that objects go by elsewhere. */
  classid?: string;
  /** Users choose the OIDs. */
  anyOid?: true;
}[] = [
  {
    name: 'pg_class',
    where: "relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relpersistence <> 't'",
  },

  { name: 'pg_extension', where: "extname <> 'plpgsql'" },
  { name: 'pg_proc' },
  // Those of relations and arrays are only there because of others.
  {
    name: 'pg_type',
    where: `typrelid = 0 AND typcategory <> 'A'
         OR EXISTS (SELECT FROM pg_class r WHERE r.oid = typrelid AND r.relkind = 'c')`,
  },
  { name: 'pg_largeobject_metadata', classid: "'pg_largeobject'::regclass", anyOid: true },
  { name: 'pg_event_trigger' },
  { name: 'pg_publication', since: 10 },
  { name: 'pg_foreign_data_wrapper' },
  { name: 'pg_foreign_server' },
  { name: 'pg_language', where: "lanname <> 'plpgsql'" },
  { name: 'pg_cast' },
  { name: 'pg_collation' },
  { name: 'pg_conversion' },
  { name: 'pg_operator' },
  { name: 'pg_opclass' },
  { name: 'pg_opfamily' },
  { name: 'pg_am' },
  { name: 'pg_transform' },
  { name: 'pg_ts_config' },
  { name: 'pg_ts_dict' },
  { name: 'pg_ts_parser' },
  { name: 'pg_ts_template' },
  { name: 'pg_default_acl' },
];

/**
 * What the session's database holds that a fresh copy of template0 does not, named for people
 * (`table public.orders`), without what belongs to an extension or comes with something else that is named, and
 * without schemas: an empty one holds nothing.
 * At most 20, then a line such as `3 more`.
 */
export async function findOccupants(session: Session, major: number): Promise<string[]> {
  const found = CATALOGS.filter(({ since = 0 }) => since <= major).map(
    ({ name, where = 'true', classid = 'tableoid', anyOid }, order) =>
      `SELECT ${order} AS rank, ${classid} AS classid, oid AS objid FROM ${name}
        WHERE oid >= ${anyOid === true ? 0 : FIRST_USER_OID} AND (${where})`,
  );
  const subscriptions =
    major < 10
      ? ''
      : `UNION ALL
         SELECT ${CATALOGS.length}, 'subscription ' || quote_ident(subname) FROM pg_subscription
          WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())`;
  // pg_identify_object, unlike pg_describe_object, answers in English whatever lc_messages says.
  const sql = `
    WITH found AS (${found.join('\nUNION ALL\n')}),
    named AS (
      SELECT rank, (SELECT i.type || ' ' || i.identity FROM pg_identify_object(classid, objid, 0) i) AS name
        FROM found
       WHERE NOT EXISTS (
         SELECT FROM pg_depend d
          WHERE d.classid = found.classid AND d.objid = found.objid AND d.objsubid = 0
            AND (d.deptype IN ('e', 'i') OR d.deptype = 'a' AND d.refclassid = 'pg_class'::regclass))
      ${subscriptions}
    )
    SELECT name, count(*) OVER () AS total FROM named WHERE name IS NOT NULL
     ORDER BY rank, name LIMIT ${NAMED_MAX}`;
  await session.query('BEGIN READ ONLY');
  await session.query('SET LOCAL search_path = pg_catalog');
  const rows = await session.query<{ name: string; total: string }>(sql);
  await session.query('COMMIT');
  const names = rows.map(({ name }) => printable(name));
  const more = Number(rows[0]?.total ?? 0) - names.length;
  return more > 0 ? [...names, `${more} more`] : names;
}
