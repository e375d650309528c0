import { BackupError } from '../../domain/errors.ts';

/** What pg_restore prints of one entry: `215; 1259 16386 TABLE sales orders postgres`. */
const ENTRY = /^(\d+);/;
/** Behind it stand the schema's name and its owner's, neither quoted. */
const SCHEMA = /^\d+; \d+ \d+ SCHEMA - (.*)$/;

/**
 * The list of entries to restore (`pg_restore --use-list`), in the order of the archive. pg_restore's own
 * `--schema` takes what is in a schema without the schema, and passes over names that are not in the archive.
 *
 * Throws TARGET_REFUSED naming what is not there.
 * @param list what `pg_restore --list` prints with these arguments, as Latin-1.
 */
export async function selectEntries(
  list: (args: readonly string[]) => Promise<string>,
  schemas: readonly string[],
  tables: readonly string[],
): Promise<string> {
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
  const chosen = new Set(entriesOf(printed).map(idOf));
  const wanted = schemas.map((name) => `${Buffer.from(name).toString('latin1')} `);
  const all = entriesOf(await list([]));
  const texts = all.filter((entry) => chosen.has(idOf(entry))).join('\n');
  const kept = all.filter((entry) => {
    if (chosen.has(idOf(entry))) return true;
    const schema = SCHEMA.exec(entry)?.[1];
    if (schema === undefined) return false;
    if (wanted.length > 0) return wanted.some((name) => schema.startsWith(name));
    // Without --schema: those that something chosen is in.
    return texts.includes(` ${schema.slice(0, schema.lastIndexOf(' '))} `);
  });
  return `${kept.join('\n')}\n`;
}

function entriesOf(printed: string): string[] {
  return printed.split('\n').filter((line) => ENTRY.test(line));
}

function idOf(entry: string): string {
  return ENTRY.exec(entry)?.[1] ?? '';
}

function notThere(what: string, name: string): BackupError {
  return new BackupError('TARGET_REFUSED', `the archive holds no ${what} "${name}"`, {
    hint: 'Name it as `cofre show` prints it: a table without its schema, which `--schema` names.',
  });
}
