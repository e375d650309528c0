import { describe, expect, it } from 'vitest';
import { BackupError } from '../../../src/domain/errors.ts';
import { knowsRestrict } from '../../../src/targets/postgres/plain-restore.ts';
import { lacks, programMessage, restoreError } from '../../../src/targets/postgres/restore-errors.ts';

describe('the message of a program', () => {
  it('is the first error, its line in the archive and the place in the data, without the data', () => {
    const stderr = [
      'psql:<stdin>:3: WARNING:  mind this',
      'psql:<stdin>:14: ERROR:  invalid input syntax for type integer: "x"',
      'CONTEXT:  COPY orders, line 3, column id: "secret"',
    ].join('\n');
    expect(programMessage(stderr, 2)).toEqual({
      text: 'ERROR:  invalid input syntax for type integer: "x" (COPY orders, line 3, column id)',
      line: 12,
    });
  });

  it('is found in what pg_restore says', () => {
    const stderr = [
      'pg_restore: while PROCESSING TOC:',
      'pg_restore: from TOC entry 3; 3079 16384 EXTENSION postgis (no owner)',
      'pg_restore: error: could not execute query: ERROR:  extension "postgis" is not available',
      'Command was: CREATE EXTENSION postgis;',
    ].join('\n');
    expect(programMessage(stderr)).toEqual({ text: 'ERROR:  extension "postgis" is not available' });
    expect(
      programMessage('pg_restore: error: COPY failed for table "z": ERROR:  no\nCONTEXT:  COPY z, line 1'),
    ).toEqual({
      text: 'ERROR:  no (COPY z, line 1)',
    });
  });

  it('is the last line where the server said nothing', () => {
    expect(programMessage('a\npg_restore: error: a worker process died unexpectedly')).toEqual({
      text: 'pg_restore: error: a worker process died unexpectedly',
    });
  });
});

describe('what a server lacks', () => {
  it.each([
    ['ERROR:  extension "postgis" is not available', 'the extension postgis'],
    [
      'ERROR:  could not open extension control file "/usr/share/postgresql/15/extension/postgis.control": No such file',
      'the extension postgis',
    ],
    [
      'ERROR:  extension "x" has no installation script nor update path for version "9.9"',
      'version 9.9 of the extension x',
    ],
    ['ERROR:  pg_cron must be loaded via shared_preload_libraries', 'pg_cron in shared_preload_libraries'],
    [
      'ERROR:  could not access file "$libdir/timescaledb-2.9": No such file or directory',
      'the library timescaledb-2.9',
    ],
    ['ERROR:  collation "pt_PT" for encoding "UTF8" does not exist', 'the collation or locale pt_PT'],
    ['ERROR:  invalid locale name: "pt_PT.UTF-8"', 'the collation or locale pt_PT.UTF-8'],
    ['ERROR:  could not extend file "base/1/2": No space left on device', 'free space on its disk'],
    ['ERROR:  tablespace "fast" does not exist', 'the tablespace fast'],
    [
      'ERROR:  permission denied to create extension "plperlu"',
      'a role with the rights of a superuser (permission denied to create extension "plperlu")',
    ],
  ])('%s', (message, words) => {
    expect(lacks(message)).toBe(words);
  });

  it('is nothing where it is the archive that does not fit', () => {
    for (const message of [
      'relation "a" already exists',
      'role "a" does not exist',
      'syntax error at or near "x"',
    ]) {
      expect(lacks(`ERROR:  ${message}`)).toBeUndefined();
    }
  });
});

describe('a failed restore', () => {
  const lacking = new BackupError(
    'TOOL_FAILED',
    'psql stopped: ERROR:  extension "postgis" is not available',
  );

  it('says in what state the target is, and what to do', () => {
    expect(restoreError(lacking, 'nothing was changed', false)).toMatchObject({
      code: 'RESTORE_FAILED',
      message: `${lacking.message}; this server lacks the extension postgis; nothing was changed`,
      hint: expect.stringContaining('package'),
    });
  });

  it('is not provable for what the server of a drill lacks, and for nothing else', () => {
    expect(restoreError(lacking, '', true).code).toBe('NOT_PROVABLE');
    expect(restoreError(new BackupError('TOOL_FAILED', 'syntax error'), '', true).code).toBe(
      'RESTORE_FAILED',
    );
  });

  it.each([
    'psql was killed by SIGKILL',
    'pg_restore was killed by SIGKILL: worker died',
    'psql stopped at line 55 of the archive: server closed the connection unexpectedly',
    'psql stopped: FATAL:  terminating connection due to administrator command',
    'pg_restore stopped: \tbefore or while processing the request.',
    'pg_restore stopped: pg_restore: error: a worker process died unexpectedly',
    'psql stopped at line 9 of the archive: ERROR:  could not extend file "base/1/2": wrote only 4096 of 8192 bytes at block 5',
  ])('is not provable in a drill: %s', (message) => {
    const error = new BackupError('TOOL_FAILED', message);
    expect(restoreError(error, '', true).code).toBe('NOT_PROVABLE');
    expect(restoreError(error, '', false).code).toBe('RESTORE_FAILED');
  });

  it('failed also when the archive says what a server that dies says', () => {
    const message = 'psql stopped at line 5 of the archive: ERROR:  no such "server closed the connection"';
    expect(restoreError(new BackupError('RESTORE_FAILED', message), '', true).code).toBe('RESTORE_FAILED');
  });

  it('keeps the code of what has one of its own', () => {
    const full = new BackupError('DISK_FULL', 'no space left', { path: '/tmp', hint: 'Free some.' });
    expect(restoreError(full, 'x', true)).toMatchObject({
      code: 'DISK_FULL',
      path: '/tmp',
      hint: 'Free some.',
    });
    expect(restoreError(new DOMException('stop', 'AbortError'), 'x', true).code).toBe('CANCELLED');
  });
});

describe('a psql that refuses its commands when told', () => {
  it.each([
    ['13.21', false],
    ['13.22', true],
    ['14.18', false],
    ['15.14 (Debian 15.14-0+deb12u1)', true],
    ['16.9', false],
    ['17.6', true],
    ['17.10', true],
    ['18beta1', true],
    ['12.22', false],
  ])('%s: %s', (version, expected) => {
    expect(knowsRestrict({ path: '', version, major: Number.parseInt(version, 10) })).toBe(expected);
  });
});
