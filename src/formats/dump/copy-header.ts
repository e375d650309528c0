import { isUtf8 } from 'node:buffer';
import { nameOf, tokensOf } from './sql-tokens.ts';

/** The table whose data follow a COPY statement. */
export interface CopyTarget {
  schema: string;
  name: string;
}

const IDENTIFIER = String.raw`(?:"(?:[^"]|"")+"|[^\s".,();]+)`;
const HEADER = new RegExp(
  String.raw`^COPY (?:(${IDENTIFIER})\.)?(${IDENTIFIER}) (?:\(${IDENTIFIER}(?:, ${IDENTIFIER})*\))? ?FROM stdin;\n$`,
);

/**
 * The target of `COPY schema.table (columns) FROM stdin;` as pg_dump writes it (a table without columns
 * has two spaces instead of a list), or `undefined` for any other statement. The statement comes with its
 * newline. Names are decoded as UTF-8, or where they are not, as Latin-1; without a schema it is ``.
 */
export function parseCopyHeader(statement: Buffer): CopyTarget | undefined {
  const match = HEADER.exec(statement.toString(isUtf8(statement) ? 'utf8' : 'latin1'));
  const name = match?.[2];
  if (name === undefined) return undefined;
  return { schema: unquote(match?.[1] ?? ''), name: unquote(name) };
}

/** The names of the columns of a statement that `parseCopyHeader` takes, in their order. */
export function copyColumns(statement: Buffer): string[] {
  const tokens = tokensOf(statement.toString('latin1'));
  const list = tokens.slice(tokens.findIndex(({ text }) => text === '(') + 1, -3);
  const hasList = list.at(-1)?.text === ')';
  return hasList ? list.filter(({ kind }) => kind !== 'symbol').map(nameOf) : [];
}

function unquote(identifier: string): string {
  return identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier;
}
