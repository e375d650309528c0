import { type DumpSurvey, isAboutRoles, ROLE_SECTIONS } from './dump-survey.ts';
import { tableKey, type TableContents } from './manifest.ts';
import { plural } from './plural.ts';
import { printable, tableLabel } from './printable.ts';
import type { RowCensus, RowsApart } from './row-census.ts';

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

/** The tables of the archive whose rows need a look that does not depend on their order: they are not the same bytes. */
export function tablesWrittenOtherwise(archive: DumpSurvey, restored: DumpSurvey): TableContents[] {
  const found = byKey(restored.contents.tables);
  return archive.contents.tables.filter((table) => {
    const other = found.get(tableKey(table))?.table;
    return other !== undefined && other.sha256 !== table.sha256;
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
    const name = `table ${tableLabel(table)}`;
    const other = found.get(tableKey(table));
    found.delete(tableKey(table));
    if (other === undefined) {
      differences.push(
        `${name}: missing from what was restored (${plural(table.rows, 'row')} in the archive)`,
      );
    } else if (other.table.sha256 === table.sha256) {
      continue;
    } else if (
      isAsLong(table, other.table) &&
      isSameMultiset(archive.multisets[index], restored.multisets[other.index])
    ) {
      reordered += 1;
    } else {
      if (other.table.rows === table.rows) otherwise += 1;
      const apart = rowsApart(archive.censuses[index], restored.censuses[other.index]);
      differences.push(`${name}: ${describeRows(table.rows, other.table.rows, apart)}`);
    }
  }
  for (const { table } of found.values()) {
    differences.push(
      `table ${tableLabel(table)}: not in the archive (${plural(table.rows, 'row')} restored)`,
    );
  }
  return { differences, reordered, sameShape: otherwise === differences.length };
}

/** Whoever can choose rows may find some that add up to the same digest, but hardly as many of the same length. */
function isAsLong(a: TableContents, b: TableContents): boolean {
  return a.rows === b.rows && a.bytes === b.bytes;
}

/** Two that were not asked for are no proof of anything. */
function isSameMultiset(a: string | undefined, b: string | undefined): boolean {
  return a !== undefined && a === b;
}

function rowsApart(archive: RowCensus | undefined, restored: RowCensus | undefined): RowsApart | undefined {
  return archive === undefined || restored === undefined ? undefined : archive.apartFrom(restored);
}

/** @param apart where the rows were counted by their digests. */
function describeRows(archive: number, restored: number, apart: RowsApart | undefined): string {
  const { missing, extra } = apart ?? { missing: 0, extra: 0 };
  if (archive === restored) {
    const many = missing === 0 ? '' : ` in at least ${missing}`;
    return `${plural(archive, 'row')} in both, but not the same data${many}`;
  }
  const which = [
    ...(missing === 0 ? [] : [`at least ${missing} of the archive missing`]),
    ...(extra === 0 ? [] : [`at least ${extra} not of the archive`]),
  ];
  const counts = `${plural(archive, 'row')} in the archive, ${restored} restored`;
  return which.length === 0 ? counts : `${counts} (${which.join(', ')})`;
}

/** What became of a section: `rewritten` differs in casts, parentheses and white space only. */
export interface SectionDifference {
  key: string;
  how: 'missing' | 'changed' | 'rewritten' | 'extra';
}

/** The sections that differ, those of the archive first. */
export function differingSections(
  archive: DumpSurvey['sections'],
  restored: DumpSurvey['sections'],
  isCompared: (key: string) => boolean,
): SectionDifference[] {
  const found: SectionDifference[] = [];
  for (const [key, section] of archive) {
    const other = restored.get(key);
    if (!isCompared(key) || other?.exact === section.exact) continue;
    const how = other === undefined ? 'missing' : other.loose === section.loose ? 'rewritten' : 'changed';
    found.push({ key, how });
  }
  for (const key of restored.keys()) {
    if (isCompared(key) && !archive.has(key)) found.push({ key, how: 'extra' });
  }
  return found;
}

/** What a section says of what it is about, by how its key begins. */
const SAYS: readonly (readonly [begin: string, what: string])[] = [
  ['SEQUENCE SET ', 'another value'],
  ['BLOBS ', 'other data'],
  ['TABLE DATA ', 'other columns or statements'],
  [ROLE_SECTIONS.owner, 'another owner'],
  [ROLE_SECTIONS.acl, 'other privileges'],
  [ROLE_SECTIONS.defaultAcl, 'other privileges'],
  ['COMMENT ', 'another text'],
];

export function describeSectionDifference({ key, how }: SectionDifference): string {
  return `${printable(key)}: ${inWords(key, how)}`;
}

function inWords(key: string, how: SectionDifference['how']): string {
  switch (how) {
    case 'missing':
      return 'missing from what was restored';
    case 'extra':
      return 'not in the archive';
    case 'changed':
    case 'rewritten': {
      const [, what = 'another definition'] = SAYS.find(([begin]) => key.startsWith(begin)) ?? [];
      return `${what} than in the archive`;
    }
    default:
      return how satisfies never;
  }
}

function compareSections(
  archive: DumpSurvey,
  restored: DumpSurvey,
  { schema, roles }: ComparisonOptions,
): Omit<SurveyComparison, 'reordered'> {
  const isSameText = archive.contents.schema_sha256 === restored.contents.schema_sha256;
  if (schema && isSameText) return { differences: [], rewritten: 0, sameShape: true };
  const isCompared = (key: string) => (schema ? roles || !isAboutRoles(key) : DATA_SECTION.test(key));
  const found = differingSections(archive.sections, restored.sections, isCompared);
  const differing = found.filter(({ how }) => how !== 'rewritten');
  return {
    differences: differing.map(describeSectionDifference),
    rewritten: found.length - differing.length,
    sameShape: differing.every(({ key, how }) => how === 'changed' && !DATA_SECTION.test(key)),
  };
}

function byKey(tables: readonly TableContents[]): Map<string, { table: TableContents; index: number }> {
  return new Map(tables.map((table, index) => [tableKey(table), { table, index }]));
}
