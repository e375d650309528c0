import { BackupError } from '../../domain/errors.ts';

/** What `pg_dumpall --globals-only` writes; `text` is a statement without its semicolon. */
export type GlobalsStatement = { text: string } & (
  | { kind: 'setting'; name: string; value: string }
  | { kind: 'createRole'; role: string }
  /** `ALTER ROLE … WITH`, `ALTER ROLE … [IN DATABASE …] SET`, comments and security labels. */
  | { kind: 'ofRole'; role: string; database?: string }
  | { kind: 'membership'; role: string; member: string; withoutGrantor: string }
  | { kind: 'ofParameter'; grantee: string }
  | { kind: 'createTablespace'; tablespace: string; location: string; withoutLocation: string }
  | { kind: 'ofTablespace'; tablespace: string }
);

interface Token {
  /** A `word` is in lower case, as the server reads it. */
  kind: 'word' | 'quoted' | 'string' | 'symbol';
  text: string;
  /** Where it begins in the script. */
  at: number;
}

/** Comments, white space, psql's `\restrict` lines, then the kinds of tokens. */
const LEXEME =
  /--[^\n]*|\s+|\\(?:un)?restrict [A-Za-z0-9]*(?=\n)|(?<quoted>"(?:[^"]|"")*")|(?<string>'(?:[^']|'')*'|[eE]'(?:[^'\\]|\\[\s\S]|'')*')|(?<word>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\d[\w.]*)|(?<symbol>[;,=().+\-*:])/y;

/**
 * Reads a globals script. Throws ARCHIVE_UNSAFE for anything that pg_dumpall does not write there, DUMP_TRUNCATED
 * when it ends within a statement.
 */
export function parseGlobals(script: string): GlobalsStatement[] {
  const statements: GlobalsStatement[] = [];
  let tokens: Token[] = [];
  for (const token of tokensOf(script)) {
    if (token.kind !== 'symbol' || token.text !== ';') {
      tokens.push(token);
      continue;
    }
    const start = tokens[0]?.at ?? token.at;
    const text = script.slice(start, token.at);
    const statement = parseStatement(tokens, text, start);
    if (statement === undefined) throw unsafe(text);
    statements.push(statement);
    tokens = [];
  }
  if (tokens.length > 0) {
    throw new BackupError('DUMP_TRUNCATED', 'the archive of roles ends within a statement', {
      hint: 'The archive was cut off: restore another one.',
    });
  }
  return statements;
}

function* tokensOf(script: string): Generator<Token> {
  LEXEME.lastIndex = 0;
  for (let at = 0; at < script.length; at = LEXEME.lastIndex) {
    const match = LEXEME.exec(script);
    if (match === null) throw unsafe(script.slice(at, at + 60).split('\n')[0] ?? '');
    const { quoted, string, word, symbol } = match.groups ?? {};
    if (quoted !== undefined) yield { kind: 'quoted', text: quoted.slice(1, -1).replaceAll('""', '"'), at };
    if (string !== undefined) yield { kind: 'string', text: stringValue(string), at };
    if (word !== undefined) yield { kind: 'word', text: asciiLower(word), at };
    if (symbol !== undefined) yield { kind: 'symbol', text: symbol, at };
  }
}

function stringValue(literal: string): string {
  const isEscaped = !literal.startsWith("'");
  const inner = literal.slice(isEscaped ? 2 : 1, -1).replaceAll("''", "'");
  return isEscaped ? inner.replaceAll(/\\([\s\S])/g, '$1') : inner;
}

/** The server folds no other letters in a database of UTF-8. */
function asciiLower(word: string): string {
  return word.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/** Undefined for anything that pg_dumpall does not write. */
function parseStatement(tokens: readonly Token[], text: string, start: number): GlobalsStatement | undefined {
  const are = (at: number, ...words: string[]): boolean =>
    words.every((word, offset) => tokens[at + offset]?.kind === 'word' && tokens[at + offset]?.text === word);
  const name = (at: number): string | undefined => {
    const token = tokens[at];
    return token?.kind === 'word' || token?.kind === 'quoted' ? token.text : undefined;
  };
  const indexOf = (...words: string[]): number => tokens.findIndex((_, at) => are(at, ...words));
  const ofRole = (role: string | undefined, database?: string): GlobalsStatement | undefined =>
    role === undefined
      ? undefined
      : { kind: 'ofRole', text, role, ...(database === undefined ? {} : { database }) };
  const ofTablespace = (tablespace: string | undefined): GlobalsStatement | undefined =>
    tablespace === undefined ? undefined : { kind: 'ofTablespace', text, tablespace };

  if (are(0, 'set') && tokens.length >= 4) {
    return { kind: 'setting', text, name: name(1) ?? '', value: tokens.at(-1)?.text ?? '' };
  }
  if (are(0, 'create', 'role')) {
    const role = name(2);
    return role === undefined || tokens.length > 3 ? undefined : { kind: 'createRole', text, role };
  }
  if (are(0, 'alter', 'role')) {
    const database = are(3, 'in', 'database') ? name(5) : undefined;
    const verb = database === undefined ? 3 : 6;
    return are(verb, 'with') || are(verb, 'set') ? ofRole(name(2), database) : undefined;
  }
  if (are(0, 'comment', 'on', 'role')) return ofRole(name(3));
  if (are(0, 'comment', 'on', 'tablespace')) return ofTablespace(name(3));
  if (are(0, 'security', 'label')) {
    const on = indexOf('on');
    if (are(on + 1, 'role')) return ofRole(name(on + 2));
    return are(on + 1, 'tablespace') ? ofTablespace(name(on + 2)) : undefined;
  }
  if (are(0, 'create', 'tablespace')) {
    const tablespace = name(2);
    const keyword = indexOf('location');
    const location = tokens[keyword + 1];
    if (tablespace === undefined || location?.kind !== 'string') return undefined;
    const withoutLocation = text.slice(0, (tokens[keyword]?.at ?? start) - start).trimEnd();
    return { kind: 'createTablespace', text, tablespace, location: location.text, withoutLocation };
  }
  if (are(0, 'alter', 'tablespace')) return ofTablespace(name(2));
  if (!are(0, 'grant') && !are(0, 'revoke')) return undefined;
  const on = indexOf('on');
  if (on !== -1 && are(on + 1, 'tablespace')) return ofTablespace(name(on + 2));
  const to = Math.max(indexOf('to'), indexOf('from'));
  const grantee = name(to + 1);
  if (to === -1 || grantee === undefined) return undefined;
  if (on !== -1) return are(on + 1, 'parameter') ? { kind: 'ofParameter', text, grantee } : undefined;
  const role = name(1);
  if (!are(0, 'grant') || role === undefined || to !== 2) return undefined;
  const grantedBy = indexOf('granted', 'by');
  const end = grantedBy === -1 ? undefined : tokens[grantedBy]?.at;
  const withoutGrantor = end === undefined ? text : text.slice(0, end - start);
  return { kind: 'membership', text, role, member: grantee, withoutGrantor };
}

function unsafe(text: string): BackupError {
  return new BackupError(
    'ARCHIVE_UNSAFE',
    `the archive of roles holds what pg_dumpall does not write there: ${text.trim().slice(0, 60)}`,
    {
      hint: 'Somebody changed the archive after it was written, or it is no archive of `pg_dumpall --globals-only`.',
    },
  );
}
