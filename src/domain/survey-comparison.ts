import { type DumpSurvey, isAboutRoles } from './dump-survey.ts';
import type { TableContents } from './manifest.ts';

export interface ComparisonOptions {
  /** Whether the text of the schema is comparable: both were written by the same major version. */
  schema: boolean;
  /** Whether what names roles is comparable: every role exists where it was restored. */
  roles: boolean;
}

export interface SurveyComparison {
  /** Each thing that differs and how, in words. Empty: the same. */
  differences: string[];
  /** Tables with the same rows in another order. */
  reordered: number;
  /** Definitions that differ in casts, parentheses and white space only. */
  rewritten: number;
  /**
   * Whether nothing is missing and nothing is too much: what differs is there on both sides, in the same number of
   * rows, and reads otherwise, as the same data do in another time zone. Sequences and large objects do not.
   */
  sameShape: boolean;
}

/**
 * What holds data although it is no COPY data: written alike by every version of pg_dump, so it is compared even
 * where the text of the schema is not.
 */
const DATA_SECTION = /^(?:SEQUENCE SET|BLOBS) /;

/** Positions of the tables whose rows need a look that does not depend on their order. */
export function tablesInOtherOrder(archive: DumpSurvey, restored: DumpSurvey): TableContents[] {
  const found = byKey(restored.contents.tables);
  return archive.contents.tables.filter((table) => {
    const other = found.get(keyOf(table))?.table;
    return (
      other !== undefined &&
      other.sha256 !== table.sha256 &&
      other.rows === table.rows &&
      other.bytes === table.bytes
    );
  });
}

/**
 * Compares an archive with the dump of what was restored from it. Tables go by name; rows by their digest in
 * order, else by the digest that does not depend on it, which both surveys then must have.
 */
export function compareSurveys(
  archive: DumpSurvey,
  restored: DumpSurvey,
  options: ComparisonOptions,
): SurveyComparison {
  const tables = compareTables(archive, restored);
  const sections = compareSections(archive, restored, options);
  return {
    differences: [...tables.differences, ...sections.differences],
    reordered: tables.reordered,
    rewritten: sections.rewritten,
    sameShape: tables.sameShape && sections.sameShape,
  };
}

function compareTables(archive: DumpSurvey, restored: DumpSurvey): Omit<SurveyComparison, 'rewritten'> {
  const differences: string[] = [];
  let otherwise = 0;
  let reordered = 0;
  const found = byKey(restored.contents.tables);
  for (const [index, table] of archive.contents.tables.entries()) {
    const name = `table ${nameOf(table)}`;
    const other = found.get(keyOf(table));
    found.delete(keyOf(table));
    if (other === undefined) {
      differences.push(`${name}: missing from what was restored (${table.rows} rows in the archive)`);
    } else if (other.table.sha256 === table.sha256) {
      continue;
    } else if (other.table.rows !== table.rows) {
      differences.push(`${name}: ${table.rows} rows in the archive, ${other.table.rows} restored`);
    } else if (isSameMultiset(archive.multisets[index], restored.multisets[other.index])) {
      reordered += 1;
    } else {
      otherwise += 1;
      differences.push(`${name}: ${table.rows} rows in both, but not the same data`);
    }
  }
  for (const { table } of found.values()) {
    differences.push(`table ${nameOf(table)}: not in the archive (${table.rows} rows restored)`);
  }
  return { differences, reordered, sameShape: otherwise === differences.length };
}

/** Two that were not asked for are no proof of anything. */
function isSameMultiset(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && a === b;
}

function compareSections(
  archive: DumpSurvey,
  restored: DumpSurvey,
  { schema, roles }: ComparisonOptions,
): Omit<SurveyComparison, 'reordered'> {
  const isSameText = archive.contents.schema_sha256 === restored.contents.schema_sha256;
  if (schema && isSameText) return { differences: [], rewritten: 0, sameShape: true };
  const differences: string[] = [];
  let otherwise = 0;
  let rewritten = 0;
  const isCompared = (key: string) => (schema ? roles || !isAboutRoles(key) : DATA_SECTION.test(key));
  for (const [key, section] of archive.sections) {
    if (!isCompared(key)) continue;
    const other = restored.sections.get(key);
    if (other === undefined) differences.push(`${key}: missing from what was restored`);
    else if (other.exact === section.exact) continue;
    else if (other.loose === section.loose) rewritten += 1;
    else {
      if (!DATA_SECTION.test(key)) otherwise += 1;
      differences.push(`${key}: not as in the archive`);
    }
  }
  for (const key of restored.sections.keys()) {
    if (isCompared(key) && !archive.sections.has(key)) differences.push(`${key}: not in the archive`);
  }
  return { differences, rewritten, sameShape: otherwise === differences.length };
}

function byKey(tables: readonly TableContents[]): Map<string, { table: TableContents; index: number }> {
  return new Map(tables.map((table, index) => [keyOf(table), { table, index }]));
}

/** Names may hold dots. */
function keyOf({ schema, name }: TableContents): string {
  return JSON.stringify([schema, name]);
}

function nameOf({ schema, name }: TableContents): string {
  return `${schema}.${name}`;
}
