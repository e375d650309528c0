import type { DumpSchemas } from '../../domain/dump-survey.ts';
import { BackupError } from '../../domain/errors.ts';
import { printable } from '../../domain/printable.ts';

/** What pg_restore prints of one entry: `215; 1259 16386 TABLE sales orders postgres`. */
const ENTRY = /^(\d+); \d+ \d+ (.*)$/;
/** In a verbose list, behind an entry: the entries that it needs. */
const DEPENDENCIES = /^;\s+depends on:((?: \d+)+)$/;
/** Behind it stand the schema's name and its owner's, neither quoted. */
const SCHEMA = /^SCHEMA - (.*)$/;
/** Kinds of entries that are part of a table, or of one of its parts. */
const OF_TABLE =
  /^(?:TABLE ATTACH|SEQUENCE(?: OWNED BY| SET)?|DEFAULT|(?:CHECK |FK )?CONSTRAINT|INDEX(?: ATTACH)?|STATISTICS|RULE|TRIGGER|ROW SECURITY|POLICY|COMMENT|ACL|SECURITY LABEL) /;
/** Of no interest when they are left out. */
const MINOR = /^(?:COMMENT|ACL|SECURITY LABEL|SEQUENCE SET|SEQUENCE OWNED BY) /;

/** One entry of an archive; Latin-1, in which any bytes come through. */
export interface TocEntry {
  /** As pg_restore prints it. */
  line: string;
  id: string;
  /** `TABLE sales orders postgres` */
  what: string;
  /** Of those that it needs. */
  needs: readonly string[];
}

export interface TocSelection {
  /** In the order of the archive. */
  entries: readonly TocEntry[];
  /** For people: what needs a chosen table and is not restored, since it needs something else as well. */
  leftOut: string[];
}

/**
 * The entries to restore. pg_restore's own `--schema` takes what is in a schema without the schema, and passes over
 * names that are not in the archive; its `--table` takes a table without its keys, indexes and sequences.
 *
 * Throws TARGET_REFUSED naming what is not there.
 * @param list what `pg_restore --list` prints with these arguments, as Latin-1.
 */
export async function selectEntries(
  list: (args: readonly string[]) => Promise<string>,
  schemas: readonly string[],
  tables: readonly string[],
): Promise<TocSelection> {
  const schemaArguments = schemas.map((name) => `--schema=${name}`);
  for (const [at, name] of schemas.entries()) {
    const printed = await list([schemaArguments[at] ?? '']);
    if (entriesOf(printed).length === 0) throw notThere('schema', name);
  }
  for (const name of tables) {
    if (entriesOf(await list([...schemaArguments, `--table=${name}`])).length === 0)
      throw notThere('table', name);
  }
  const printed = await list([...schemaArguments, ...tables.map((name) => `--table=${name}`)]);
  const chosen = new Set(entriesOf(printed).map(({ id }) => id));
  // Verbose is also what is not chosen, so that it is all of them.
  const all = entriesOf(await list(['--verbose']));
  if (tables.length > 0) addParts(chosen, all);
  const wanted = schemas.map((name) => `${latin1(name)} `);
  const texts = all.filter(({ id }) => chosen.has(id)).map(({ what }) => what);
  const entries = all.filter(({ id, what }) => {
    if (chosen.has(id)) return true;
    const schema = SCHEMA.exec(what)?.[1];
    if (schema === undefined) return false;
    if (wanted.length > 0) return wanted.some((name) => schema.startsWith(name));
    // Without --schema: those that something chosen is in.
    const name = ` ${schema.slice(0, schema.lastIndexOf(' '))} `;
    return texts.some((text) => text.includes(name));
  });
  return { entries, leftOut: tables.length === 0 ? [] : leftOutOf(all, chosen) };
}

/** Adds what is part of something chosen, and needs nothing but that and its schema. */
function addParts(chosen: Set<string>, all: readonly TocEntry[]): void {
  const schemas = new Set(all.filter(({ what }) => SCHEMA.test(what)).map(({ id }) => id));
  // Each stands behind what it needs, but for a few.
  for (let before = -1; before < chosen.size; ) {
    before = chosen.size;
    for (const { id, what, needs } of all) {
      const others = needs.filter((other) => !schemas.has(other));
      if (OF_TABLE.test(what) && others.length > 0 && others.every((other) => chosen.has(other))) {
        chosen.add(id);
      }
    }
  }
}

function leftOutOf(all: readonly TocEntry[], chosen: ReadonlySet<string>): string[] {
  const left = all.filter(
    ({ id, what, needs }) => !chosen.has(id) && !MINOR.test(what) && needs.some((other) => chosen.has(other)),
  );
  return left.map(({ what }) => printable(Buffer.from(what, 'latin1').toString()));
}

/** The entries without those that make a schema which the database has. */
export function withoutSchemas(
  entries: readonly TocEntry[],
  { made }: DumpSchemas,
  existing: ReadonlySet<string>,
): TocEntry[] {
  // A name may be the beginning of another one.
  const names = [...made].sort((a, b) => b.length - a.length);
  return entries.filter(({ what }) => {
    const schema = SCHEMA.exec(what)?.[1];
    if (schema === undefined) return true;
    const name = names.find((name) => schema.startsWith(`${latin1(name)} `));
    return name === undefined || !existing.has(name);
  });
}

/** Those of the schemas that one of the entries is in. */
export function enteredSchemas(entries: readonly TocEntry[], schemas: readonly string[]): string[] {
  return schemas.filter((name) => entries.some(({ what }) => what.includes(` ${latin1(name)} `)));
}

function latin1(name: string): string {
  return Buffer.from(name).toString('latin1');
}

function entriesOf(printed: string): TocEntry[] {
  const entries: TocEntry[] = [];
  for (const line of printed.split('\n')) {
    const [, id, what] = ENTRY.exec(line) ?? [];
    if (id !== undefined && what !== undefined) entries.push({ line, id, what, needs: [] });
    const needs = DEPENDENCIES.exec(line)?.[1]?.trim().split(' ');
    const last = entries.pop();
    if (last !== undefined) entries.push(needs === undefined ? last : { ...last, needs });
  }
  return entries;
}

function notThere(what: string, name: string): BackupError {
  return new BackupError('TARGET_REFUSED', `the archive holds no ${what} "${name}"`, {
    hint: 'Name it as `cofre show` prints it: a table without its schema, which `--schema` names.',
  });
}
