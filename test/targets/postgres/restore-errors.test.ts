import { describe, expect, it } from 'vitest';
import { BackupError } from '../../../src/domain/errors.ts';
import { knowsRestrict } from '../../../src/targets/postgres/plain-restore.ts';
import {
  lacks,
  programMessage,
  ProgramStoppedError,
  restoreError,
} from '../../../src/targets/postgres/restore-errors.ts';

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

  it('comes with its SQLSTATE from a psql that prints it, in whatever language', () => {
    const stderr = [
      'psql:<stdin>:3: NOTICE:  42P06: schema "a" already exists, skipping',
      'psql:<stdin>:9: FEHLER:  42501: keine Berechtigung',
      'LOCATION:  aclcheck_error, aclchk.c:1',
    ].join('\n');
    const denied = { text: 'FEHLER:  keine Berechtigung', line: 7, state: '42501' };
    expect(programMessage(stderr, 2)).toEqual(denied);
    const [notice = ''] = stderr.split('\n');
    const own = `${notice}\npsql:<stdin>:5: error: backslash commands are restricted`;
    expect(programMessage(own)).toEqual({ text: 'error: backslash commands are restricted', line: 5 });
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
  const stopped = (message: string, state?: string) => new ProgramStoppedError(message, state, {});
  const lacking = stopped('psql stopped: ERROR:  extension "postgis" is not available', '0A000');
  const inDrill = (error: unknown, superuser = true): string =>
    restoreError(error, { state: '', scratch: true, superuser }).code;
  const ofRestore = { state: 'nothing was changed', scratch: false, superuser: true };

  it('says in what state the target is, and what to do', () => {
    expect(restoreError(lacking, ofRestore)).toMatchObject({
      code: 'RESTORE_FAILED',
      message: `${lacking.message}; this server lacks the extension postgis; nothing was changed`,
      hint: expect.stringContaining('package'),
    });
  });

  it('is not provable for what the server of a drill lacks, and for nothing else', () => {
    expect(inDrill(lacking)).toBe('NOT_PROVABLE');
    expect(inDrill(stopped('psql stopped: ERROR:  syntax error', '42601'))).toBe('RESTORE_FAILED');
    expect(inDrill(stopped('pg_restore stopped: ERROR:  syntax error'))).toBe('RESTORE_FAILED');
    expect(inDrill(new BackupError('DUMP_TRUNCATED', 'the dump ends early'))).toBe('RESTORE_FAILED');
  });

  it.each([
    'psql was killed by SIGKILL',
    'pg_restore was killed by SIGKILL: worker died',
    'psql stopped at line 55 of the archive: server closed the connection unexpectedly',
    'psql stopped: FATAL:  terminating connection due to administrator command',
    'pg_restore stopped: \tbefore or while processing the request.',
    'pg_restore stopped: pg_restore: error: a worker process died unexpectedly',
    'psql stopped at line 9 of the archive: ERROR:  could not extend file "base/1/2": wrote only 4096 of 8192 bytes at block 5',
    'pg_restore stopped: ERROR:  out of shared memory',
    'pg_restore stopped: FATAL:  sorry, too many clients already',
  ])('is not provable in a drill: %s', (message) => {
    expect(inDrill(stopped(message))).toBe('NOT_PROVABLE');
    expect(restoreError(stopped(message), ofRestore).code).toBe('RESTORE_FAILED');
  });

  it('goes by the SQLSTATE, whatever the words are', () => {
    for (const state of ['53200', '53300', '57P01', '58030', '08006', '25006', '40P01', '57014']) {
      expect(inDrill(stopped('psql stopped at line 3 of the archive: FEHLER:  etwas', state))).toBe(
        'NOT_PROVABLE',
      );
    }
    for (const state of ['42P07', '42601', '22P02', '23505', '42883']) {
      expect(inDrill(stopped('psql stopped: ERROR:  out of shared memory', state))).toBe('RESTORE_FAILED');
    }
    // What a function of the archive raises, in whatever words.
    expect(inDrill(stopped('psql stopped: ERROR:  No space left on device', 'P0001'))).toBe('RESTORE_FAILED');
  });

  it('for want of rights says something of the archive only where there are all', () => {
    const denied = 'permission denied for schema public';
    expect(inDrill(stopped(`psql stopped: ERROR:  ${denied}`, '42501'), false)).toBe('NOT_PROVABLE');
    expect(inDrill(stopped(`psql stopped: ERROR:  ${denied}`, '42501'), true)).toBe('RESTORE_FAILED');
    expect(inDrill(stopped(`pg_restore stopped: ERROR:  ${denied}`), false)).toBe('NOT_PROVABLE');
  });

  it('says nothing of the archive when no statement of it was what failed', () => {
    const unreachable = new BackupError(
      'SERVER_UNREACHABLE',
      'cannot connect: sorry, too many clients already',
    );
    expect(inDrill(unreachable)).toBe('NOT_PROVABLE');
    const refused = Object.assign(new Error('permission denied to set parameter'), { code: '42501' });
    expect(inDrill(refused)).toBe('NOT_PROVABLE');
    expect(inDrill(new Error('a fault of ours'))).toBe('INTERNAL');
  });

  it('failed also when the archive says what a server that dies says', () => {
    const message = 'psql stopped at line 5 of the archive: ERROR:  no such "server closed the connection"';
    expect(inDrill(stopped(message, '42883'))).toBe('RESTORE_FAILED');
    expect(inDrill(stopped(message))).toBe('RESTORE_FAILED');
  });

  it('keeps the code of what has one of its own', () => {
    const full = new BackupError('DISK_FULL', 'no space left', { path: '/tmp', hint: 'Free some.' });
    expect(restoreError(full, { ...ofRestore, scratch: true })).toMatchObject({
      code: 'DISK_FULL',
      path: '/tmp',
      hint: 'Free some.',
    });
    expect(inDrill(new DOMException('stop', 'AbortError'))).toBe('CANCELLED');
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
