import { type Contents, isFilesContents, type TableContents } from '../domain/manifest.ts';
import { printable } from '../domain/printable.ts';
import type { DatabaseRestoreFlags } from './restore-request.ts';

/** For people, what was chosen of the archive; empty: all of it. */
export function chosenParts({ schemas, tables }: DatabaseRestoreFlags): string {
  const parts = [...schemas.map((name) => `schema ${name}`), ...tables.map((name) => `table ${name}`)];
  return printable(parts.join(', '));
}

/** Those that pg_restore was told to restore. */
export function chosenTables(contents: Contents, { schemas, tables }: DatabaseRestoreFlags): TableContents[] {
  if (isFilesContents(contents)) return [];
  return contents.tables.filter(
    ({ schema, name }) =>
      (schemas.length === 0 || schemas.includes(schema)) && (tables.length === 0 || tables.includes(name)),
  );
}
