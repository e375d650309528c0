import { open } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { BackupError, ERROR_CODES, toBackupError } from '../../src/domain/errors.ts';

function systemError(code: string, path?: string): Error {
  return Object.assign(new Error(`${code}: it failed`), { code, ...(path === undefined ? {} : { path }) });
}

describe('a BackupError', () => {
  test('shows code, message, hint and path in JSON, and neither cause nor stack', () => {
    const error = new BackupError('DISK_FULL', 'no space', {
      hint: 'Free some.',
      path: '/x',
      cause: 'secret',
    });
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      code: 'DISK_FULL',
      message: 'no space',
      hint: 'Free some.',
      path: '/x',
    });
    expect(JSON.parse(JSON.stringify(new BackupError('USAGE', 'wrong')))).toEqual({
      code: 'USAGE',
      message: 'wrong',
    });
  });

  test('every code has a sentence that describes it', () => {
    for (const text of Object.values(ERROR_CODES)) expect(text).toMatch(/^[A-Z].*\.$/);
  });
});

describe('anything thrown as a BackupError', () => {
  test('one that is one already stays the same', () => {
    const error = new BackupError('LOCK_BUSY', 'busy');
    expect(toBackupError(error, 'context')).toBe(error);
  });

  test.each([
    ['ENOSPC', 'DISK_FULL', /[Ff]ree space/],
    ['EDQUOT', 'DISK_FULL', /[Ff]ree space/],
    ['EACCES', 'IO_FAILED', /access/],
    ['EPERM', 'IO_FAILED', /access/],
    ['ENOENT', 'IO_FAILED', /Create/],
    ['EROFS', 'IO_FAILED', /read-only/],
    ['EIO', 'IO_FAILED', /system log/],
  ])('%s is %s', (errno, code, hint) => {
    const error = toBackupError(systemError(errno, '/some/where'), 'writing x');
    expect(error).toMatchObject({ code, path: '/some/where' });
    expect(error.message).toMatch(/^writing x: /);
    expect(error.hint).toMatch(hint);
  });

  test('one of the real file system', async () => {
    const thrown = await open('/nonexistent/file').catch((error: unknown) => error);
    expect(toBackupError(thrown)).toMatchObject({ code: 'IO_FAILED', path: '/nonexistent/file' });
  });

  test.each([
    ['a bug', new TypeError('x is not a function')],
    ['a string', 'thrown text'],
    ['undefined', undefined],
  ])('%s is INTERNAL', (_, thrown) => {
    expect(toBackupError(thrown).code).toBe('INTERNAL');
  });

  test('the reason of an aborted signal is CANCELLED, that of a timed out one TIMEOUT', async () => {
    const controller = new AbortController();
    controller.abort();
    expect(toBackupError(controller.signal.reason).code).toBe('CANCELLED');
    const timeout = AbortSignal.timeout(1);
    await new Promise((resolve) => timeout.addEventListener('abort', resolve));
    expect(toBackupError(timeout.reason).code).toBe('TIMEOUT');
  });
});
