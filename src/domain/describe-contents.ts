import { type Contents, type DatabaseContents, type FilesContents, isFilesContents } from './manifest.ts';
import { plural } from './plural.ts';
import { formatSize } from './size.ts';

/** For people: `2 tables with 12 rows`, `8 entries with 1.00 MB of data`. */
export function describeContents(contents: Contents): string {
  return isFilesContents(contents) ? describeEntries(contents) : describeTables(contents);
}

export function describeEntries({ entries, bytes }: Pick<FilesContents, 'entries' | 'bytes'>): string {
  return `${plural(entries, 'entry')} with ${formatSize(bytes)} of data`;
}

function describeTables({ tables }: DatabaseContents): string {
  if (tables.length === 0) return 'no table data';
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  return `${plural(tables.length, 'table')} with ${plural(rows, 'row')}`;
}
