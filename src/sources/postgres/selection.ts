import { type NamePattern, parsePattern } from './pattern.ts';
import type { Session } from '../../postgres/session.ts';

/** What goes into the dump, as patterns of pg_dump's -n, -N, -t and -T. */
export interface Filters {
  readonly include: { readonly schemas?: readonly string[]; readonly tables?: readonly string[] };
  readonly exclude: { readonly schemas?: readonly string[]; readonly tables?: readonly string[] };
}

/** The objects that the patterns name, as oids. A list is absent when there is no such pattern. */
export interface Selection {
  readonly includeSchemas?: readonly string[];
  readonly includeTables?: readonly string[];
  readonly excludeSchemas: readonly string[];
  readonly excludeTables: readonly string[];
}

/** A pattern that pg_dump would not take, or that names nothing. */
export interface PatternFault {
  readonly pattern: string;
  /** `include.tables` … */
  readonly key: string;
  readonly kind: 'invalid' | 'nothing';
  readonly reason: string;
}

type Matcher = (session: Session, pattern: NamePattern, major: number) => Promise<string[]>;

/**
 * Looks the patterns up in the catalogue, as pg_dump does: with the search path of the role, since a table
 * pattern without a schema names visible tables only. An exclude pattern may name nothing.
 */
export async function resolveSelection(
  session: Session,
  filters: Filters,
  database: string,
  major: number,
): Promise<{ selection: Selection; faults: PatternFault[] }> {
  const faults: PatternFault[] = [];
  const lookUp = async (key: string, patterns: readonly string[] | undefined, match: Matcher) => {
    const oids: string[] = [];
    for (const pattern of patterns ?? []) {
      try {
        const parsed = parsePattern(pattern);
        const named = match === matchSchemas ? parsed.schema : parsed.database;
        if (match === matchSchemas && parsed.database !== undefined)
          throw new RangeError('more than one dot');
        if (match === matchTables && named !== undefined && named !== database) {
          throw new RangeError(`it names a database other than "${database}"`);
        }
        const found = await match(session, parsed, major);
        oids.push(...found);
        if (found.length === 0 && key.startsWith('include')) {
          faults.push({ pattern, key, kind: 'nothing', reason: 'it matches nothing' });
        }
      } catch (error) {
        if (!isPatternError(error)) throw error;
        faults.push({ pattern, key, kind: 'invalid', reason: error.message });
      }
    }
    return oids;
  };
  const { include, exclude } = filters;
  const selection: Selection = {
    ...(isGiven(include.schemas)
      ? { includeSchemas: await lookUp('include.schemas', include.schemas, matchSchemas) }
      : {}),
    ...(isGiven(include.tables)
      ? { includeTables: await lookUp('include.tables', include.tables, matchTables) }
      : {}),
    excludeSchemas: await lookUp('exclude.schemas', exclude.schemas, matchSchemas),
    excludeTables: await lookUp('exclude.tables', exclude.tables, matchTables),
  };
  return { selection, faults };
}

export function isGiven(patterns: readonly string[] | undefined): patterns is readonly string[] {
  return patterns !== undefined && patterns.length > 0;
}

async function matchSchemas(session: Session, pattern: NamePattern, major: number): Promise<string[]> {
  const sql = `SELECT n.oid::text AS oid FROM pg_catalog.pg_namespace n WHERE ${matches('n.nspname', 1, major)}`;
  return oidsOf(await session.query<{ oid: string }>(sql, [pattern.name]));
}

async function matchTables(session: Session, pattern: NamePattern, major: number): Promise<string[]> {
  const { name, schema } = pattern;
  const place =
    schema === undefined ? 'pg_catalog.pg_table_is_visible(c.oid)' : matches('n.nspname', 2, major);
  const sql = `SELECT c.oid::text AS oid
      FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'S', 'v', 'm', 'f', 'p') AND ${matches('c.relname', 1, major)} AND ${place}`;
  return oidsOf(await session.query<{ oid: string }>(sql, schema === undefined ? [name] : [name, schema]));
}

/** Names are compared bytewise since PostgreSQL 12, which would leave classes such as `[[:alpha:]]` to ASCII. */
function matches(column: string, parameter: number, major: number): string {
  const collation = major >= 12 ? ' COLLATE pg_catalog.default' : '';
  return `${column} OPERATOR(pg_catalog.~) $${parameter}::text${collation}`;
}

function oidsOf(rows: readonly { oid: string }[]): string[] {
  return rows.map(({ oid }) => oid);
}

/** Too many dots, or (SQLSTATE 2201B) no regular expression. */
function isPatternError(error: unknown): error is Error {
  return error instanceof RangeError || (error as { code?: string }).code === '2201B';
}
