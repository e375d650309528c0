import type { SqlToken } from '../formats/dump/sql-tokens.ts';

/** The words that may follow the first of a type's name, up to its modifiers: `character varying(20)`. */
const CONTINUED: Readonly<Record<string, readonly string[]>> = {
  bit: ['varying'],
  character: ['varying'],
  double: ['precision'],
  interval: ['year', 'month', 'day', 'hour', 'minute', 'second', 'to'],
};
/** The types whose modifiers stand within: `timestamp(3) without time zone`. */
const ZONED = ['time', 'timestamp'];

/**
 * A statement as it is compared loosely, in Latin-1: without white space, parentheses and casts. How
 * PostgreSQL writes an expression changes with each dump and restore: `(ARRAY['a'::varchar])::text[]` comes
 * back as `ARRAY[('a'::varchar)::text]`. What a type's name is, is that of format_type in PostgreSQL's
 * format_type.c: `character varying(20)[]`, `timestamp(3) without time zone`, `public."My Type"`.
 * @param tokens without comments.
 */
export function looseText(tokens: readonly SqlToken[]): string {
  const kept: string[] = [];
  let at = 0;
  while (at < tokens.length) {
    const token = tokens[at];
    if (token === undefined) break;
    if (isSymbol(token, ':') && isSymbol(tokens[at + 1], ':')) {
      at = behindType(tokens, at + 2);
      continue;
    }
    const isKept = !isSymbol(token, '(') && !isSymbol(token, ')');
    // Apart, so that `a b` is not `ab`; no token ends in white space or holds a NUL.
    if (isKept) kept.push(token.text, '\0');
    at += 1;
  }
  return kept.join('');
}

/** Where the name of a type that begins at `from` ends, with its modifiers and brackets. */
function behindType(tokens: readonly SqlToken[], from: number): number {
  let at = from;
  if (!isName(tokens[at])) return at;
  const first = wordOf(tokens[at]);
  at += 1;
  while (isSymbol(tokens[at], '.') && isName(tokens[at + 1])) at += 2;
  const isBare = at === from + 1;
  const continued = isBare ? (CONTINUED[first] ?? []) : [];
  while (continued.includes(wordOf(tokens[at]))) at += 1;
  at = behindModifiers(tokens, at);
  const isZoned = isBare && ZONED.includes(first) && ['with', 'without'].includes(wordOf(tokens[at]));
  if (isZoned && wordOf(tokens[at + 1]) === 'time' && wordOf(tokens[at + 2]) === 'zone') at += 3;
  while (isSymbol(tokens[at], '[') && isSymbol(tokens[at + 1], ']')) at += 2;
  return at;
}

function behindModifiers(tokens: readonly SqlToken[], from: number): number {
  if (!isSymbol(tokens[from], '(')) return from;
  let at = from + 1;
  while (at < tokens.length && !isSymbol(tokens[at], ')')) at += 1;
  return at + 1;
}

function isName(token: SqlToken | undefined): boolean {
  return token?.kind === 'word' || token?.kind === 'quoted';
}

function isSymbol(token: SqlToken | undefined, symbol: string): boolean {
  return token?.kind === 'symbol' && token.text === symbol;
}

function wordOf(token: SqlToken | undefined): string {
  return token?.kind === 'word' ? token.text : '';
}
