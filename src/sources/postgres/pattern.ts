/** Outside double quotes these pass through, so that a pattern can be a regular expression; psql does so. */
const SPECIAL = /[|*+?()[\]{}.^\\]/;

/** A pattern as regular expressions of PostgreSQL (`~`), anchored at both ends. */
export interface NamePattern {
  /** Absent when the pattern names no schema. */
  readonly schema?: string;
  readonly name: string;
  /** Not a regular expression but the very name; pg_dump takes no other than that of the current database. */
  readonly database?: string;
}

/**
 * Translates a pattern of pg_dump's -n, -N, -t and -T as psql does: `*` and `?` are wildcards, letters fold to
 * lower case, a dot parts database, schema and name, and double quotes take all that away.
 * Throws a RangeError for more than three parts.
 * Source: https://www.postgresql.org/docs/current/app-psql.html#APP-PSQL-PATTERNS
 */
export function parsePattern(pattern: string): NamePattern {
  const parts = splitPattern(pattern);
  const name = parts.pop() ?? '';
  const schema = parts.pop();
  const database = parts.pop();
  if (parts.length > 0) throw new RangeError('more than two dots');
  return {
    name: anchored(name),
    ...(schema === undefined ? {} : { schema: anchored(schema) }),
    ...(database === undefined ? {} : { database: database.replaceAll(/\\(.)/gs, '$1') }),
  };
}

function splitPattern(pattern: string): string[] {
  const parts = [''];
  const append = (text: string) => {
    parts[parts.length - 1] += text;
  };
  const characters = Array.from(pattern);
  let quoted = false;
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at] ?? '';
    const next = characters[at + 1];
    if (character === '"') {
      if (quoted && next === '"') {
        append('"');
        at++;
      } else {
        quoted = !quoted;
      }
    } else if (character === '$') {
      // Legal in identifiers, and of no use in a regular expression that is anchored anyway.
      append('\\$');
    } else if (quoted) {
      append(SPECIAL.test(character) ? `\\${character}` : character);
    } else if (character === '.') {
      parts.push('');
    } else if (character === '*') {
      append('.*');
    } else if (character === '?') {
      append('.');
    } else if (character === '[' && next === ']') {
      append('\\[');
    } else {
      append(/[A-Z]/.test(character) ? character.toLowerCase() : character);
    }
  }
  return parts;
}

function anchored(expression: string): string {
  return `^(${expression})$`;
}
