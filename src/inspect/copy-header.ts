import { isUtf8 } from 'node:buffer';

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

function unquote(identifier: string): string {
  return identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier;
}
