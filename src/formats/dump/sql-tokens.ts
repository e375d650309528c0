import { isUtf8 } from 'node:buffer';

/**
 * What a statement is made of.
 *   word: a keyword, a name without quotes, or digits
 *   quoted: a name in double quotes
 *   string: a literal, with its prefix E and its quotes, or in dollar quotes
 *   comment: one of either kind
 *   symbol: any other single character
 */
export type SqlTokenKind = 'word' | 'quoted' | 'string' | 'comment' | 'symbol';

export interface SqlToken {
  kind: SqlTokenKind;
  /** As it stands in the statement, a byte as a character. */
  text: string;
}

const WORD = /[A-Za-z0-9_\x80-\xff][A-Za-z0-9_$\x80-\xff]*/y;
const DOLLAR_TAG = /\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$/y;
const WHITE_SPACE = ' \t\n\r\f\v';

/**
 * The tokens of one statement, without white space. It comes as Latin-1, so that every byte is a character,
 * whatever the encoding of the dump. What is not closed reaches to the end. The rules are those of SqlLexer.
 */
export function tokensOf(statement: string): SqlToken[] {
  const tokens: SqlToken[] = [];
  let at = 0;
  while (at < statement.length) {
    if (WHITE_SPACE.includes(statement.charAt(at))) {
      at += 1;
      continue;
    }
    const { kind, end } = tokenAt(statement, at);
    tokens.push({ kind, text: statement.slice(at, end) });
    at = end;
  }
  return tokens;
}

/** The name that a token stands for, decoded as UTF-8, or where it is not, as Latin-1; of a string its text. */
export function nameOf(token: SqlToken): string {
  const bytes = Buffer.from(withoutQuotes(token), 'latin1');
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}

function withoutQuotes({ kind, text }: SqlToken): string {
  if (kind === 'quoted') return text.slice(1, -1).replaceAll('""', '"');
  if (kind !== 'string') return text;
  const plain = text.slice(text.indexOf("'") + 1, -1).replaceAll("''", "'");
  // pg_dump writes E'' for a text with a backslash, and escapes nothing else.
  return text.startsWith("'") ? plain : plain.replaceAll('\\\\', '\\');
}

function tokenAt(text: string, at: number): { kind: SqlTokenKind; end: number } {
  const pair = text.slice(at, at + 2);
  if (pair === '--') return { kind: 'comment', end: behind(text, '\n', at) };
  if (pair === '/*') return { kind: 'comment', end: endOfBlockComment(text, at) };
  if (pair === "E'" || pair === "e'") return { kind: 'string', end: endOfEscapeString(text, at + 2) };
  switch (pair.charAt(0)) {
    case "'":
      return { kind: 'string', end: endOfQuotes(text, "'", at + 1) };
    case '"':
      return { kind: 'quoted', end: endOfQuotes(text, '"', at + 1) };
    case '$': {
      const tag = matchAt(DOLLAR_TAG, text, at);
      if (tag !== undefined) return { kind: 'string', end: behind(text, tag, at + tag.length) };
      break;
    }
    default:
  }
  const word = matchAt(WORD, text, at);
  return word === undefined ? { kind: 'symbol', end: at + 1 } : { kind: 'word', end: at + word.length };
}

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

function behind(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from);
  return at === -1 ? text.length : at + what.length;
}

/** A quote that is doubled is one of the text. */
function endOfQuotes(text: string, quote: string, from: number): number {
  let end = behind(text, quote, from);
  while (text.charAt(end) === quote) end = behind(text, quote, end + 1);
  return end;
}

function endOfEscapeString(text: string, from: number): number {
  for (let at = from; at < text.length; at += 1) {
    const character = text.charAt(at);
    const isDoubled = character === "'" && text.charAt(at + 1) === "'";
    if (character === '\\' || isDoubled) at += 1;
    else if (character === "'") return at + 1;
  }
  return text.length;
}

function endOfBlockComment(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length - 1; at += 1) {
    const pair = text.slice(at, at + 2);
    if (pair === '/*') depth += 1;
    else if (pair === '*/') depth -= 1;
    else continue;
    at += 1;
    if (depth === 0) return at + 1;
  }
  return text.length;
}
