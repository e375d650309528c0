import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ArchiveName,
  archiveKey,
  formatArchiveName,
  formatTimestamp,
  isGlobalsSource,
  parseArchiveName,
  parseTimestamp,
} from '../../src/domain/archive-name.ts';

const instants = fc
  .integer({ min: Date.UTC(1970), max: Date.UTC(9999, 11, 31, 23, 59, 59) })
  .map((ms) => new Date(Math.floor(ms / 1000) * 1000));

const names: fc.Arbitrary<ArchiveName> = fc
  .record({
    source: fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,62}(_globals)?$/),
    timestamp: instants.map(formatTimestamp),
    format: fc.constantFrom('plain' as const, 'custom' as const, 'directory' as const, 'tar' as const),
    compression: fc.constantFrom('none' as const, 'gzip' as const, 'zstd' as const),
  })
  .map((name) => ({ ...name, type: name.format === 'tar' ? 'files' : 'database' }));

describe('the filename of an archive', () => {
  test.each([
    ['db_backup_app_20251024_120015.sql', 'database', 'plain', 'none'],
    ['db_backup_app_20251024_120015.sql.gz', 'database', 'plain', 'gzip'],
    ['db_backup_app_20251024_120015.dump.zst', 'database', 'custom', 'zstd'],
    ['db_backup_app_20251024_120015.dir.tar', 'database', 'directory', 'none'],
    ['files_backup_app_20251024_120015.tar.zst', 'files', 'tar', 'zstd'],
  ])('%s', (filename, type, format, compression) => {
    const name = parseArchiveName(filename);
    expect(name).toEqual({ type, source: 'app', timestamp: '20251024_120015', format, compression });
    expect(archiveKey(filename)).toBe(`${type}/${filename}`);
  });

  test('is read back as it was written, whatever the source is called', () => {
    fc.assert(
      fc.property(names, (name) => {
        expect(parseArchiveName(formatArchiveName(name))).toEqual(name);
      }),
    );
  });

  test.each([
    '',
    'app.sql',
    '../db_backup_app_20251024_120015.sql',
    'database/db_backup_app_20251024_120015.sql',
    '.db_backup_app_20251024_120015.sql.partial',
    '.db_backup_app_20251024_120015.sql.failed',
    'db_backup_app_20251024_120015.sql.gz.json',
    'db_backup_app_20251024_120015.sql\n',
    'db_backup_App_20251024_120015.sql',
    'db_backup__app_20251024_120015.sql',
    'db_backup_app_20251324_120015.sql',
    'db_backup_app_20250230_120015.sql',
    'db_backup_app_20251024_250015.sql',
    'db_backup_app_20251024_120015.tar',
    'files_backup_app_20251024_120015.sql',
    'files_backup_app_20251024_120015.tar.bz2',
  ])('%j is none', (filename) => {
    expect(parseArchiveName(filename)).toBeUndefined();
    expect(archiveKey(filename)).toBeUndefined();
  });
});

test('the roles of a server are a series behind the name of a source, however long that is', () => {
  const source = 'x'.repeat(63);
  const at = '20251024_120015';
  expect(parseArchiveName(`db_backup_${source}_globals_${at}.sql.gz`)?.source).toBe(`${source}_globals`);
  expect(parseArchiveName(`db_backup_${source}x_${at}.sql.gz`)).toBeUndefined();
  expect(parseArchiveName(`db_backup_${source}x_globals_${at}.sql.gz`)).toBeUndefined();
  expect(parseArchiveName(`db_backup_${source}_globals_globals_${at}.sql.gz`)).toBeUndefined();
  expect(['app_globals', 'app', 'globals', 'app_globals2'].map(isGlobalsSource)).toEqual([
    true,
    false,
    false,
    false,
  ]);
});

test('a timestamp is the UTC second of an instant, and read back as that', () => {
  expect(formatTimestamp(new Date('2025-10-24T12:00:15.999Z'))).toBe('20251024_120015');
  fc.assert(
    fc.property(instants, (at) => {
      expect(parseTimestamp(formatTimestamp(at))).toEqual(at);
    }),
  );
});
