import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJsonText } from '../../src/config/json-text.ts';
import { faultLines } from './config-dir.ts';

describe('Text that is no JSON gets file, line and column:', () => {
  test.each([
    [
      'nothing at all',
      '',
      'config.json:1:1: the text ends too early (received nothing; allowed: plain JSON)',
    ],
    [
      'an end too early',
      '{\n  "a": [1',
      'config.json:2:10: the text ends too early (received nothing; allowed: plain JSON)',
    ],
    [
      'a comment',
      '{\n  // here\n}',
      'config.json:2:3: a comment, which JSON does not have (received "/"; allowed: plain JSON)',
    ],
    [
      'a comma too many',
      '{\n  "a": 1,\n}',
      'config.json:2:9: a comma after the last element (received ","; allowed: plain JSON)',
    ],
    [
      'a comma too few',
      '{"a": 1 "b": 2}',
      'config.json:1:9: "," or "}" is missing here (received "\\""; allowed: plain JSON)',
    ],
    [
      'single quotes',
      "{'a': 1}",
      'config.json:1:2: a single quote; JSON has double quotes only (received "\'"; allowed: plain JSON)',
    ],
    [
      'a bare key',
      '{a: 1}',
      'config.json:1:2: a key in double quotes is missing here (received "a"; allowed: plain JSON)',
    ],
    [
      'a string over two lines',
      '{"a": "x\ny"}',
      'config.json:1:9: a string without its closing double quote (received "\\n"; allowed: plain JSON)',
    ],
    [
      'a wrong escape',
      '{"a": "\\x"}',
      'config.json:1:8: an escape that JSON does not have (received "\\\\"; allowed: plain JSON)',
    ],
    [
      'two documents',
      '{} {}',
      'config.json:1:4: text after the end of the document (received "{"; allowed: plain JSON)',
    ],
    [
      'endless nesting',
      '['.repeat(100_000),
      'config.json:1:66: nested too deeply (received "["; allowed: plain JSON)',
    ],
    [
      'a byte order mark',
      '\uFEFF{}',
      'config.json:1:1: a byte order mark; save the file as UTF-8 without it (received a byte order mark; allowed: plain JSON)',
    ],
  ])('%s', async (_, text, line) => {
    expect(await faultLines(text)).toEqual([line]);
  });

  test.each([
    [
      'UTF-16',
      Buffer.from('\uFEFF{}', 'utf16le'),
      'a byte order mark; save the file as UTF-8 without it (received a byte order mark',
    ],
    ['Latin-1', Buffer.from('{"ã":1}', 'latin1'), 'the file is not UTF-8 (received other bytes'],
  ])('%s', async (_, bytes, fault) => {
    expect(await faultLines(bytes)).toEqual([`config.json:1:1: ${fault}; allowed: plain JSON)`]);
  });

  test('the text around the fault, which may be a password, is not quoted', async () => {
    const [line] = await faultLines('{"url": "postgres://app:s3cret@db/app" oops}');
    expect(line).toContain('config.json:1:40: ');
    expect(line).not.toContain('s3cret');
  });
});

test('a key that is there twice is refused: the first of two jobs of one name would vanish', async () => {
  expect(await faultLines('{"jobs": {\n  "app": {},\n  "app": {}\n}, "j\\u006fbs": {}}')).toEqual([
    'config.json:3:3: this key is in the same object twice (received "app"; allowed: plain JSON)',
    'config.json:4:4: this key is in the same object twice (received "jobs"; allowed: plain JSON)',
  ]);
});

test('a job called __proto__ is refused, not silently ignored', async () => {
  expect(await faultLines('{"jobs": {"__proto__": {}}}')).toEqual([
    'config.json:1:11: this key is not possible (received "__proto__"; allowed: plain JSON)',
  ]);
});

test('accepts what JSON.parse accepts and nothing else', () => {
  const edit = fc.record({
    at: fc.nat(60),
    remove: fc.nat(2),
    insert: fc.constantFrom(
      '',
      '',
      ',',
      '"',
      '{',
      '}',
      '[',
      ']',
      ':',
      '\\',
      '\\u00',
      '0',
      '-',
      '.',
      'e',
      'null',
      ' ',
      '\n',
      '\t',
      '\u00A0',
    ),
  });
  // No keys: those that JSON.parse lets pass twice have their own tests.
  const text = fc
    .array(
      fc.oneof(
        fc.string(),
        fc.double(),
        fc.integer(),
        fc.boolean(),
        fc.constant(null),
        fc.array(fc.string()),
      ),
    )
    .map((values) =>
      JSON.stringify(values.map((value, index) => (index % 2 === 0 ? value : { [`k${index}`]: value }))),
    );
  fc.assert(
    fc.property(text, fc.array(edit, { maxLength: 3 }), (original, edits) => {
      const edited = edits.reduce(
        (json, { at, remove, insert }) => json.slice(0, at) + insert + json.slice(at + remove),
        original,
      );
      const bytes = new TextEncoder().encode(edited);
      const parsed = parseJsonText(bytes);
      expect(parsed.ok ? parsed.value : undefined).toEqual(parseOrUndefined(new TextDecoder().decode(bytes)));
      expect(parsed.ok ? [] : parsed.faults).toHaveLength(parsed.ok ? 0 : 1);
    }),
    { numRuns: 2_000 },
  );
});

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
