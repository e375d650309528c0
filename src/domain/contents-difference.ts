import { describeContents } from './describe-contents.ts';
import {
  type Contents,
  type DatabaseContents,
  isFilesContents,
  tableKey,
  type TableContents,
} from './manifest.ts';
import { describeSome, plural } from './plural.ts';
import { tableLabel } from './printable.ts';

const OTHER_SCHEMA =
  'beside the rows of tables something differs from what was recorded: a definition, comment, privilege, sequence or large object; a manifest has one digest of all these, so `cofre diff` with another archive may tell which';

/**
 * How what an archive holds differs from what was recorded of it, in words; undefined when it does not. What was
 * remarked while files were read is no contents.
 */
export function describeContentsDifference(recorded: Contents, found: Contents): string | undefined {
  if (!isFilesContents(recorded) && !isFilesContents(found)) return describeDumpDifference(recorded, found);
  if (!isFilesContents(recorded) || !isFilesContents(found)) return 'the contents are of another type';
  if (recorded.digest === found.digest && recorded.entries === found.entries) return undefined;
  return `its entries are not those that were written: it holds ${describeContents(found)}, recorded are ${describeContents(recorded)}; a manifest has one digest of them all, so \`cofre diff\` with another archive may tell which differ`;
}

function describeDumpDifference(recorded: DatabaseContents, found: DatabaseContents): string | undefined {
  const tables = differingTables(recorded.tables, found.tables);
  const differences = [
    ...(tables.length > 0 ? [describeSome(tables)] : []),
    ...(recorded.schema_sha256 === found.schema_sha256 ? [] : [OTHER_SCHEMA]),
  ];
  return differences.length === 0 ? undefined : differences.join('; ');
}

function differingTables(recorded: readonly TableContents[], found: readonly TableContents[]): string[] {
  const differences: string[] = [];
  const left = blocksByTable(found);
  for (const table of recorded) {
    const other = left.get(tableKey(table))?.shift();
    const difference = describeTable(table, other);
    if (difference !== undefined) differences.push(`table ${tableLabel(table)}: ${difference}`);
  }
  for (const table of [...left.values()].flat()) {
    const rows = plural(table.rows, 'row');
    differences.push(`table ${tableLabel(table)}: ${rows} in the archive, none recorded of such a table`);
  }
  const isReordered = recorded.some((table, at) => tableKey(table) !== keyAt(found, at));
  return differences.length === 0 && isReordered
    ? ['the tables stand in another order than was recorded']
    : differences;
}

function describeTable(recorded: TableContents, found: TableContents | undefined): string | undefined {
  const rows = plural(recorded.rows, 'row');
  if (found === undefined) return `${rows} recorded, and no such table in the archive`;
  if (found.rows !== recorded.rows) return `${rows} recorded, ${found.rows} in the archive`;
  if (found.bytes !== recorded.bytes) {
    return `${rows} as recorded, but with ${found.bytes} instead of ${plural(recorded.bytes, 'byte')}`;
  }
  return found.sha256 === recorded.sha256 ? undefined : `${rows} as recorded, but not the same data`;
}

/** A dump by another's hand may hold the rows of one table in several blocks. */
function blocksByTable(tables: readonly TableContents[]): Map<string, TableContents[]> {
  const blocks = new Map<string, TableContents[]>();
  for (const table of tables) {
    const key = tableKey(table);
    blocks.set(key, [...(blocks.get(key) ?? []), table]);
  }
  return blocks;
}

function keyAt(tables: readonly TableContents[], at: number): string | undefined {
  const table = tables[at];
  return table === undefined ? undefined : tableKey(table);
}
