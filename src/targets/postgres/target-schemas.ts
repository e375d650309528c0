import { escapeIdentifier } from 'pg';
import type { DumpSchemas } from '../../domain/dump-survey.ts';
import { printable } from '../../domain/printable.ts';
import type { Session } from '../../postgres/session.ts';

/** What is done about schemas before an archive is restored. */
export interface SchemaPlan {
  /** They stand empty where the archive makes its own: every new database has a `public`. */
  dropped: string[];
  /** The archive puts something there and does not make them. */
  made: string[];
}

export const NO_SCHEMAS: SchemaPlan = { dropped: [], made: [] };

export async function schemasIn(session: Session): Promise<Set<string>> {
  const rows = await session.query<{ name: string }>(
    'SELECT nspname::text AS name FROM pg_catalog.pg_namespace',
  );
  return new Set(rows.map(({ name }) => name));
}

/** For a whole archive and an empty database. @param existing in it. */
export function planSchemas({ made, used }: DumpSchemas, existing: ReadonlySet<string>): SchemaPlan {
  return {
    dropped: made.filter((name) => existing.has(name)),
    made: used.filter((name) => !existing.has(name)),
  };
}

/** They fail rather than drop a schema that holds something. */
export function schemaStatements({ dropped, made }: SchemaPlan): string[] {
  return [
    ...dropped.map((name) => `DROP SCHEMA ${escapeIdentifier(name)};`),
    ...made.map((name) => `CREATE SCHEMA ${escapeIdentifier(name)};`),
  ];
}

/** For people. @param isNew whether the database was made for the restore: what it began with is no matter. */
export function schemaRemarks({ dropped, made }: SchemaPlan, isNew: boolean): string[] {
  const gone = isNew ? [] : dropped;
  return [
    ...gone.map((name) => `the schema ${shown(name)}, which was empty, made room for that of the archive`),
    ...made.map((name) => `made the schema ${shown(name)}, which the archive needs and does not make`),
  ];
}

function shown(name: string): string {
  return printable(JSON.stringify(name));
}
