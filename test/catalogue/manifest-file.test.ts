import { expect, test } from 'vitest';
import { parseManifest } from '../../src/catalogue/manifest-file.ts';

const FILENAME = 'db_backup_app_20261120_120015.sql.gz';

test.each([
  ['', 'it is not JSON'],
  ['{"version": 1,', 'it is not JSON'],
  ['null', 'the file: Invalid input: expected object, received null'],
  ['{"version": 2}', 'version: Invalid input: expected 1'],
])('a manifest of the text %j is refused with the reason', (text, reason) => {
  expect(() => parseManifest(text, FILENAME, '/srv')).toThrow(
    expect.objectContaining({
      code: 'MANIFEST_CORRUPT',
      path: FILENAME,
      message: `the manifest of ${FILENAME} cannot be read: ${reason}`,
    }),
  );
});
