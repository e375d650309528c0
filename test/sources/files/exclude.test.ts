import { describe, expect, test } from 'vitest';
import { compileExclude } from '../../../src/sources/files/exclude.ts';

function excludes(pattern: string, relative: string, isDirectory = false): boolean {
  const raw = Buffer.from(relative, 'utf8').toString('latin1');
  return compileExclude([pattern])?.(raw, isDirectory) ?? false;
}

describe('a pattern without a slash matches the base name at any depth', () => {
  test.each([
    ['*.tmp', 'a.tmp', true],
    ['*.tmp', 'deep/er/a.tmp', true],
    ['*.tmp', '.hidden.tmp', true],
    ['*.tmp', 'a.tmp.keep', false],
    ['*.tmp', 'line\nbreak.tmp', true],
    ['cache', 'deep/cache', true],
    ['cache', 'deep/cache2', false],
    ['*.{log,bak}', 'x/y.bak', true],
    ['ação', 'x/ação', true],
    ['a?o', 'x/aço', true],
    ['!keep', 'other', false],
    ['!keep', '!keep', true],
  ])('%s on %j: %s', (pattern, relative, expected) => {
    expect(excludes(pattern, relative)).toBe(expected);
  });
});

describe('a pattern with a slash matches the path relative to the directory', () => {
  test.each([
    ['cache/*.bin', 'cache/a.bin', true],
    ['cache/*.bin', 'deep/cache/a.bin', false],
    ['cache/*.bin', 'cache/deep/a.bin', false],
    ['**/cache/*.bin', 'deep/cache/a.bin', true],
    ['logs/**', 'logs/a/b', true],
    ['logs/**', 'logs/a\nb/c', true],
    ['/cache', 'cache', true],
    ['/cache', 'deep/cache', false],
  ])('%s on %j: %s', (pattern, relative, expected) => {
    expect(excludes(pattern, relative)).toBe(expected);
  });
});

test('a trailing slash restricts a pattern to directories', () => {
  expect(excludes('build/', 'x/build', true)).toBe(true);
  expect(excludes('build/', 'x/build', false)).toBe(false);
  expect(excludes('/x/build/', 'x/build', true)).toBe(true);
  expect(excludes('/x/build/', 'y/x/build', true)).toBe(false);
});

test('a name that is not UTF-8 is matched with a replacement character for each wrong byte', () => {
  const exclude = compileExclude(['a?.tmp']);
  expect(exclude?.('x/a\xff.tmp', false)).toBe(true);
  expect(exclude?.('x/a\xff\xff.tmp', false)).toBe(false);
});

test('no patterns, nothing to ask', () => {
  expect(compileExclude([])).toBeUndefined();
});
