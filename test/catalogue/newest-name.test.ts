import { expect, test } from 'vitest';
import { newestName } from '../../src/catalogue/newest-name.ts';

const NAMES = [
  'db_backup_app_20261118_120000.sql.gz.json',
  'db_backup_app_20261120_120000.sql.gz.json',
  'db_backup_app_20261121_120000.sql.gz.json.deleting',
  'db_backup_app_20261122_120000.sql.gz',
  '.db_backup_app_20261123_120000.sql.gz.json.12.tmp',
  'db_backup_app_99999999_120000.sql.gz.json',
  'db_backup_app_20261124_120000.json',
  'db_backup_app_2_20261125_120000.sql.gz.json',
  'db_backup_app_globals_20261126_120000.sql.gz.json',
  'files_backup_app_20261119_120000.tar.zst.json',
  'files_backup_other_20261127_120000.tar.zst.json',
  'notes.json',
];

test.each([
  ['app', 'db_backup_app_20261120_120000.sql.gz.json'],
  ['app_2', 'db_backup_app_2_20261125_120000.sql.gz.json'],
  ['app_globals', 'db_backup_app_globals_20261126_120000.sql.gz.json'],
  ['other', 'files_backup_other_20261127_120000.tar.zst.json'],
  ['ap', undefined],
  ['gone', undefined],
])('the newest of %s among names of all kinds, in any order', (source, expected) => {
  for (const names of [NAMES, NAMES.toReversed(), NAMES.toSorted()]) {
    expect(newestName(names, source)).toBe(expected);
  }
});

test('a source that changed its type has one series', () => {
  const names = ['db_backup_app_20261118_120000.sql.json', 'files_backup_app_20261119_120000.tar.json'];
  expect(newestName(names, 'app')).toBe(names[1]);
});
