import { readFile, stat } from 'node:fs/promises';

/** What a line of the password file is matched against. */
export interface PasswordQuery {
  /** A name, an address or a socket directory. */
  host: string;
  port: number;
  database: string;
  user: string;
}

/**
 * The password that libpq would take from `~/.pgpass`: `host:port:database:user:password`, the first line
 * that matches, `*` matching all. Undefined as well for a file that others may read, which libpq ignores too.
 * Source: https://www.postgresql.org/docs/current/libpq-pgpass.html
 */
export async function lookUpPassword(path: string, query: PasswordQuery): Promise<string | undefined> {
  try {
    const stats = await stat(path);
    if (!stats.isFile() || (stats.mode & 0o077) !== 0) return undefined;
    return findPassword(await readFile(path, 'utf8'), query);
  } catch {
    return undefined;
  }
}

/** The same over the text of the file. */
export function findPassword(text: string, query: PasswordQuery): string | undefined {
  const wanted = [query.host, String(query.port), query.database, query.user];
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue;
    const fields = splitFields(line);
    const password = fields[4];
    if (
      password !== undefined &&
      wanted.every((value, at) => fields[at] === '*' || literal(fields[at]) === value)
    ) {
      return literal(password);
    }
  }
  return undefined;
}

function splitFields(line: string): string[] {
  return line.match(/(?<=^|:)(?:\\.|[^\\:])*/g) ?? [];
}

function literal(field: string | undefined): string | undefined {
  return field?.replaceAll(/\\(.)/gs, '$1');
}
