import { escapeIdentifier, escapeLiteral } from 'pg';
import type { DatabaseLocale } from '../../domain/manifest.ts';
import { readLocaleOf } from '../../postgres/database-locale.ts';
import type { Session } from '../../postgres/session.ts';

/** Parameters whose stored value is a list of quoted identifiers; pg_dump has the same list. */
const QUOTED_LISTS = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

/** What a database is besides its contents. */
export interface DatabaseLikeness {
  owner: string;
  /** Undefined where it is that of template0: to name it takes a right that not to name it does not. */
  tablespace?: string;
  locale: DatabaseLocale;
  connectionLimit: number;
  isTemplate: boolean;
  comment: string | null;
  /** Null: the default privileges. */
  grants: Grant[] | null;
  settings: { role: string | null; name: string; value: string }[];
}

interface Grant {
  grantor: string;
  /** Null: PUBLIC. */
  grantee: string | null;
  privilege: string;
  grantable: boolean;
}

/** Undefined when there is no such database. */
export async function readLikeness(
  session: Session,
  database: string,
): Promise<DatabaseLikeness | undefined> {
  const [row] = await session.query<{
    oid: string;
    owner: string;
    tablespace: string | null;
    connection_limit: number;
    is_template: boolean;
    comment: string | null;
    has_acl: boolean;
  }>(
    `SELECT d.oid, pg_catalog.pg_get_userbyid(datdba) AS owner, 
            CASE WHEN dattablespace <> (SELECT dattablespace FROM pg_catalog.pg_database WHERE datname = 'template0')
                 THEN spcname END AS tablespace,
            datconnlimit AS connection_limit, datistemplate AS is_template,
            pg_catalog.shobj_description(d.oid, 'pg_database') AS comment, datacl IS NOT NULL AS has_acl
       FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace t ON t.oid = dattablespace
      WHERE datname = $1`,
    [database],
  );
  const locale = await readLocaleOf(session, database);
  if (row === undefined || locale === undefined) return undefined;
  const { owner, tablespace } = row;
  return {
    owner,
    ...(tablespace === null ? {} : { tablespace }),
    connectionLimit: row.connection_limit,
    isTemplate: row.is_template,
    comment: row.comment,
    locale,
    grants: row.has_acl ? await readGrants(session, row.oid) : null,
    settings: await readSettings(session, row.oid),
  };
}

async function readGrants(session: Session, oid: string): Promise<Grant[]> {
  // The owner's own first: what others grant they can only grant once they were granted it.
  return await session.query<Grant & Record<string, unknown>>(
    `SELECT pg_catalog.pg_get_userbyid(a.grantor) AS grantor,
            CASE a.grantee WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(a.grantee) END AS grantee,
            a.privilege_type AS privilege, a.is_grantable AS grantable
       FROM pg_catalog.pg_database d, pg_catalog.aclexplode(datacl) WITH ORDINALITY
              AS a (grantor, grantee, privilege_type, is_grantable, at)
      WHERE d.oid = $1 ORDER BY a.grantor <> d.datdba, a.at`,
    [oid],
  );
}

async function readSettings(session: Session, oid: string): Promise<DatabaseLikeness['settings']> {
  return await session.query<DatabaseLikeness['settings'][number] & Record<string, unknown>>(
    `SELECT CASE setrole WHEN 0 THEN NULL ELSE pg_catalog.pg_get_userbyid(setrole) END AS role,
            pg_catalog.split_part(entry, '=', 1) AS name,
            pg_catalog.substr(entry, pg_catalog.strpos(entry, '=') + 1) AS value
       FROM pg_catalog.pg_db_role_setting, pg_catalog.unnest(setconfig) AS entry
      WHERE setdatabase = $1`,
    [oid],
  );
}

/**
 * Statements that make a new database of the likeness's owner, encoding and tablespace like it in all else. All
 * of them can be rolled back.
 */
export function likenessStatements(likeness: DatabaseLikeness, database: string): string[] {
  const name = escapeIdentifier(database);
  const { connectionLimit, isTemplate, comment, grants, settings } = likeness;
  return [
    ...(connectionLimit === -1 ? [] : [`ALTER DATABASE ${name} CONNECTION LIMIT ${connectionLimit}`]),
    ...(isTemplate ? [`ALTER DATABASE ${name} IS_TEMPLATE true`] : []),
    ...(comment === null ? [] : [`COMMENT ON DATABASE ${name} IS ${escapeLiteral(comment)}`]),
    ...(grants === null ? [] : grantStatements(grants, name, likeness.owner)),
    ...settings.map(({ role, name: parameter, value }) => {
      const whose =
        role === null ? `ALTER DATABASE ${name}` : `ALTER ROLE ${escapeIdentifier(role)} IN DATABASE ${name}`;
      return `${whose} SET ${parameter.split('.').map(escapeIdentifier).join('.')} TO ${settingValue(parameter, value)}`;
    }),
  ];
}

function grantStatements(grants: readonly Grant[], name: string, owner: string): string[] {
  return [
    `REVOKE ALL ON DATABASE ${name} FROM PUBLIC`,
    `REVOKE ALL ON DATABASE ${name} FROM ${escapeIdentifier(owner)}`,
    ...grants.flatMap(({ grantor, grantee, privilege, grantable }) => {
      const to = grantee === null ? 'PUBLIC' : escapeIdentifier(grantee);
      const grant = `GRANT ${privilege} ON DATABASE ${name} TO ${to}${grantable ? ' WITH GRANT OPTION' : ''}`;
      // Whoever grants stands in the privilege; a superuser grants in the name of the owner.
      return grantor === owner
        ? [grant]
        : [`SET LOCAL ROLE ${escapeIdentifier(grantor)}`, grant, 'RESET ROLE'];
    }),
  ];
}

function settingValue(parameter: string, value: string): string {
  if (!QUOTED_LISTS.has(parameter.toLowerCase())) return escapeLiteral(value);
  const items = [...value.matchAll(/"((?:[^"]|"")*)"|[^\s,"]+/g)];
  if (items.length === 0) return "''";
  return items
    .map(([all, quoted]) => escapeLiteral(quoted === undefined ? all : quoted.replaceAll('""', '"')))
    .join(', ');
}
