import { describe, expect, test } from 'vitest';
import { nameOf, tokensOf } from '../../../src/formats/dump/sql-tokens.ts';

function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}

describe('tokens', () => {
  test.each([
    ['ALTER TABLE a.b;', ['word ALTER', 'word TABLE', 'word a', 'symbol .', 'word b', 'symbol ;']],
    [`'it''s' x`, [`string 'it''s'`, 'word x']],
    [`'\\' x`, [`string '\\'`, 'word x']],
    [`E'\\'''' x`, [`string E'\\''''`, 'word x']],
    [`DATE'\\' e'\\\\'`, ['word DATE', `string '\\'`, `string e'\\\\'`]],
    [`"a ""b"" 'c'"."d"`, [`quoted "a ""b"" 'c'"`, 'symbol .', 'quoted "d"']],
    [`$$ ' $x$ $$ a`, [`string $$ ' $x$ $$`, 'word a']],
    [`$x$ $$ $y$ $x$;`, [`string $x$ $$ $y$ $x$`, 'symbol ;']],
    [`a$b$ $1`, ['word a$b$', 'symbol $', 'word 1']],
    [`a -- b\nc - d`, ['word a', 'comment -- b\n', 'word c', 'symbol -', 'word d']],
    [`/* a /* b */ ' */ c/d`, [`comment /* a /* b */ ' */`, 'word c', 'symbol /', 'word d']],
    [`x::text[]`, ['word x', 'symbol :', 'symbol :', 'word text', 'symbol [', 'symbol ]']],
    [`'open ;`, [`string 'open ;`]],
    [`"open ;`, [`quoted "open ;`]],
    [`$$open ;`, [`string $$open ;`]],
    [`/* open ;`, [`comment /* open ;`]],
  ])('%s', (statement, expected) => {
    expect(tokensOf(statement).map(({ kind, text }) => `${kind} ${text}`)).toEqual(expected);
  });

  test('a literal of megabytes takes no recursion', () => {
    const literal = `'${"''x".repeat(1_000_000)}'`;
    expect(tokensOf(`SELECT ${literal};`).map(({ text }) => text.length)).toEqual([6, literal.length, 1]);
  });
});

describe('names', () => {
  test.each([
    ['plain', 'plain'],
    ['"We ""ird"', 'We "ird'],
    ['größe', 'größe'],
    ['"Größe данные"', 'Größe данные'],
    [`'it''s "x"'`, `it's "x"`],
    [`E'a\\\\b''c'`, `a\\b'c`],
  ])('%s', (token, expected) => {
    expect(tokensOf(latin1(token)).map(nameOf)).toEqual([expected]);
  });

  test('that are not UTF-8 are read as Latin-1', () => {
    expect(tokensOf('"Größe"').map(nameOf)).toEqual(['Größe']);
  });
});
