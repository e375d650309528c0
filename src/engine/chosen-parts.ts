/** What of an archive of a database was chosen to be restored, and where that leads. */
import { type Contents, isFilesContents, type TableContents } from '../domain/manifest.ts';
import { printable } from '../domain/printable.ts';
import type { DatabaseTargetState } from '../domain/restore-ports.ts';
import type { DatabaseRestoreFlags } from './restore-request.ts';

/** Whether a part of the archive goes beside what the database holds. */
export function addsTo(
  { occupants }: DatabaseTargetState,
  { clean, schemas, tables }: DatabaseRestoreFlags,
): boolean {
  return occupants.length > 0 && !clean && (schemas.length > 0 || tables.length > 0);
}

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
