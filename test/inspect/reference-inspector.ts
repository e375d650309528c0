import { createHash } from 'node:crypto';
import type { DatabaseContents, TableContents } from '../../src/domain/manifest.ts';
import type { ErrorCode } from '../../src/domain/errors.ts';

/**
 * What PlainDumpInspector computes, written for clearness only: the whole dump as one string, a token at a
 * time by regular expression. Returns the code where the inspector throws.
 */
export function inspectByReference(dump: Buffer): DatabaseContents | ErrorCode {
  const text = dump.toString('latin1');
  if (text === '') return 'DUMP_EMPTY';
  const tables: TableContents[] = [];
  let schema = '';
  let afterCompletion: string[] | undefined;
  let at = 0;
  while (at < text.length) {
    const end = endOfUnit(text, at);
    if (end === undefined) return 'DUMP_TRUNCATED';
    const unit = text.slice(at, end);
    at = end;
    afterCompletion?.push(unit);
    if (unit === '-- PostgreSQL database dump complete\n') afterCompletion ??= [];
    if (!/^(-- Dumped (from database|by pg_dump) version |\\(un)?restrict )/.test(unit)) schema += unit;
    const target = afterCompletion === undefined ? targetOf(unit) : undefined;
    if (target === undefined) continue;
    const lines: string[] = [];
    for (;;) {
      const newline = text.indexOf('\n', at);
      if (newline === -1) return 'DUMP_TRUNCATED';
      const line = text.slice(at, newline + 1);
      at = newline + 1;
      if (line === '\\.\n') break;
      lines.push(line);
    }
    schema += '\\.\n';
    const data = lines.join('');
    tables.push({ ...target, rows: lines.length, bytes: data.length, sha256: sha256(data) });
  }
  const isClean = afterCompletion?.every((unit) => /^(\n|--\n|\\unrestrict .*\n)$/.test(unit));
  return isClean === true ? { tables, schema_sha256: sha256(schema) } : 'DUMP_TRUNCATED';
}

/** Behind the first newline from `start` that stands between statements. */
function endOfUnit(text: string, start: number): number | undefined {
  const token =
    /(--[^\n]*)|(\/\*)|([eE]'(?:[^'\\]|\\[^]|'')*'(?!'))|('[^']*')|("[^"]*")|\$((?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?)\$|([\w\x80-\xff][\w$\x80-\xff]*)|([ \t\r])|([^])/gy;
  let inStatement = false;
  token.lastIndex = start;
  for (let match = token.exec(text); match !== null; match = token.exec(text)) {
    const [whole, lineComment, blockComment, escaped, , , tag, , space] = match;
    if (whole === '\n' && !inStatement) return token.lastIndex;
    if (whole === '\\' && !inStatement) {
      const newline = text.indexOf('\n', match.index);
      return newline === -1 ? undefined : newline + 1;
    }
    if (lineComment !== undefined || space !== undefined || whole === '\n') continue;
    if (blockComment !== undefined) {
      const end = endOfBlockComment(text, token.lastIndex);
      if (end === undefined) return undefined;
      token.lastIndex = end;
      continue;
    }
    inStatement = whole !== ';';
    // A quote that nothing closes: the token expression took it, or its `e`, for something else.
    if (escaped === undefined && /^[eE]$/.test(whole) && text[token.lastIndex] === "'") return undefined;
    if (whole === "'" || whole === '"') return undefined;
    if (tag === undefined) continue;
    const closing = text.indexOf(`$${tag}$`, token.lastIndex);
    if (closing === -1) return undefined;
    token.lastIndex = closing + tag.length + 2;
  }
  return undefined;
}

function endOfBlockComment(text: string, start: number): number | undefined {
  let depth = 1;
  for (let at = start; at < text.length; at += 1) {
    const pair = text.slice(at, at + 2);
    if (pair === '/*') depth += 1;
    else if (pair === '*/') depth -= 1;
    else continue;
    at += 1;
    if (depth === 0) return at + 1;
  }
  return undefined;
}

function targetOf(unit: string): { schema: string; name: string } | undefined {
  const name = '("(?:[^"]|"")+"|[^\\s".,();]+)';
  const header = new RegExp(`^COPY (?:${name}[.])?${name} (?: |[(]${name}(?:, ${name})*[)] )FROM stdin;\n$`);
  const [, schema, table] = header.exec(unit) ?? [];
  if (table === undefined) return undefined;
  return { schema: plain(schema ?? ''), name: plain(table) };
}

function plain(identifier: string): string {
  const bare = identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier;
  return Buffer.from(bare, 'latin1').toString();
}

function sha256(latin1: string): string {
  return createHash('sha256').update(latin1, 'latin1').digest('hex');
}
