import { type DumpSurvey, ROLE_SECTIONS } from './dump-survey.ts';
import { type ArchiveType, type DatabaseContents, tableKey, type TableContents } from './manifest.ts';
import { differingSections, type SectionDifference } from './survey-comparison.ts';

/** A figure before and after; null where the table is not there. */
type Pair = [before: number | null, after: number | null];

/** A table of which two dumps say different things. */
export interface TableDifference {
  schema: string;
  name: string;
  rows: Pair;
  bytes: Pair;
}

/** What tells two dumps apart, table by table, in the order of the dumps. */
export interface DatabaseDifference {
  identical: boolean;
  tables: {
    added: TableDifference[];
    gone: TableDifference[];
    /** More rows than before. */
    grown: TableDifference[];
    /** Fewer rows than before. */
    shrunk: TableDifference[];
    /** As many rows, and not the same ones, or in another order. */
    changed: TableDifference[];
  };
  /** The number of tables with the same rows in the same order. */
  unchanged: number;
  schema_changed: boolean;
  /** What changed beside the rows of tables; null where it did, and the archives could not be read for it. */
  definitions: DefinitionsDifference | null;
  /** Why they could not. */
  remark?: string;
}

/** Named by kind and object: `FUNCTION public.f()`, `SEQUENCE SET public.orders_id_seq`. */
export interface DefinitionsDifference {
  added: string[];
  gone: string[];
  changed: string[];
}

export const ENTRY_CHANGES = ['type', 'size', 'mode', 'mtime', 'data', 'link'] as const;
/** What of an entry differs. Of one whose type does, size, data and link are not compared. */
export type EntryChange = (typeof ENTRY_CHANGES)[number];

/** What tells two file archives apart. Paths are for people: bytes that are not UTF-8 are shown as `\xNN`. */
export interface FilesDifference {
  identical: boolean;
  paths: { added: string[]; removed: string[]; changed: { path: string; changes: EntryChange[] }[] };
}

/** The difference of two archives, `b` being held against `a`. */
export type ArchiveDifference = { a: string; b: string } & (
  | ({ type: Extract<ArchiveType, 'database'> } & DatabaseDifference)
  | ({ type: Extract<ArchiveType, 'files'> } & FilesDifference)
);

/** Compares what two dumps hold beside the rows of tables. */
export function diffDefinitions(
  before: DumpSurvey['sections'],
  after: DumpSurvey['sections'],
): DefinitionsDifference {
  // Of data, the definition of the table says the same.
  const found = differingSections(before, after, (key) => !key.startsWith('TABLE DATA '));
  const keysOf = (...hows: SectionDifference['how'][]) => {
    const keys = new Set(found.filter(({ how }) => hows.includes(how)).map(({ key }) => key));
    // What comes or goes has an owner.
    return [...keys].filter(
      (key) => !key.startsWith(ROLE_SECTIONS.owner) || !keys.has(key.slice(ROLE_SECTIONS.owner.length)),
    );
  };
  return { added: keysOf('extra'), gone: keysOf('missing'), changed: keysOf('changed', 'rewritten') };
}

/** Compares what two manifests record of their dumps. */
export function diffDatabases(
  before: DatabaseContents,
  after: DatabaseContents,
): Omit<DatabaseDifference, 'definitions' | 'remark'> {
  const old = byName(before.tables);
  const tables: DatabaseDifference['tables'] = { added: [], gone: [], grown: [], shrunk: [], changed: [] };
  let unchanged = 0;
  for (const [key, table] of byName(after.tables)) {
    const earlier = old.get(key);
    old.delete(key);
    if (earlier === undefined) tables.added.push(difference(undefined, table));
    else if (table.rows > earlier.rows) tables.grown.push(difference(earlier, table));
    else if (table.rows < earlier.rows) tables.shrunk.push(difference(earlier, table));
    else if (table.sha256 !== earlier.sha256) tables.changed.push(difference(earlier, table));
    else unchanged += 1;
  }
  for (const table of old.values()) tables.gone.push(difference(table, undefined));
  const schemaChanged = before.schema_sha256 !== after.schema_sha256;
  const identical = !schemaChanged && Object.values(tables).every((list) => list.length === 0);
  return { identical, tables, unchanged, schema_changed: schemaChanged };
}

/** Each table once: a dump by another's hand may hold the rows of one in several blocks. */
function byName(tables: readonly TableContents[]): Map<string, TableContents> {
  const found = new Map<string, TableContents>();
  for (const table of tables) {
    const key = tableKey(table);
    const first = found.get(key);
    found.set(key, first === undefined ? table : joined(first, table));
  }
  return found;
}

function joined(first: TableContents, next: TableContents): TableContents {
  const { schema, name } = first;
  const rows = first.rows + next.rows;
  return { schema, name, rows, bytes: first.bytes + next.bytes, sha256: `${first.sha256}${next.sha256}` };
}

function difference(before: TableContents | undefined, after: TableContents | undefined): TableDifference {
  const { schema = '', name = '' } = before ?? after ?? {};
  return {
    schema,
    name,
    rows: [before?.rows ?? null, after?.rows ?? null],
    bytes: [before?.bytes ?? null, after?.bytes ?? null],
  };
}
