import { describe, expect, it } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import { connectError } from '../../src/postgres/connect-errors.ts';
import { resolveConnection } from '../../src/postgres/connection-params.ts';
import { LoginPolicyError, PasswordMissingError } from '../../src/postgres/login-policy.ts';
import { dumpError } from '../../src/sources/postgres/pg-dump.ts';

const coded = (code: string, message = code) => Object.assign(new Error(message), { code });

describe('connectError: only what may go away by itself is SERVER_UNREACHABLE, which is retried', () => {
  it.each([
    [coded('ECONNREFUSED'), 'SERVER_UNREACHABLE'],
    [Object.assign(new AggregateError([], ''), { code: 'ECONNREFUSED' }), 'SERVER_UNREACHABLE'],
    [coded('ENOTFOUND'), 'SERVER_UNREACHABLE'],
    [coded('ETIMEDOUT'), 'SERVER_UNREACHABLE'],
    [coded('ENOENT'), 'SERVER_UNREACHABLE'],
    [new Error('timeout expired'), 'SERVER_UNREACHABLE'],
    [new Error('Connection terminated unexpectedly'), 'SERVER_UNREACHABLE'],
    [coded('57P03', 'the database system is starting up'), 'SERVER_UNREACHABLE'],
    [coded('53300', 'sorry, too many clients already'), 'SERVER_UNREACHABLE'],
    [coded('08P01', 'server_login_retry'), 'SERVER_UNREACHABLE'],
    [coded('08P01', 'no such database: app'), 'SERVER_AUTH'],
    [coded('28P01', 'password authentication failed'), 'SERVER_AUTH'],
    [coded('28000', 'no pg_hba.conf entry'), 'SERVER_AUTH'],
    [coded('3D000', 'database does not exist'), 'SERVER_AUTH'],
    [coded('42501', 'permission denied for database'), 'SERVER_AUTH'],
    [coded('55000', 'not accepting connections'), 'SERVER_AUTH'],
    [coded('EACCES'), 'SERVER_AUTH'],
    [coded('DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate'), 'SERVER_AUTH'],
    [coded('ERR_TLS_CERT_ALTNAME_INVALID'), 'SERVER_AUTH'],
    [new Error('The server does not support SSL connections'), 'SERVER_AUTH'],
    [new PasswordMissingError('x'), 'SERVER_AUTH'],
    [new LoginPolicyError('x'), 'SERVER_AUTH'],
    [coded('42704', 'unrecognized configuration parameter'), 'CONFIG_INVALID'],
  ])('%s is %s', async (thrown, code) => {
    const params = await resolveConnection('postgresql://u:s3cret@h:1/d', { HOME: '/nonexistent' });
    const error = connectError(thrown, params, { host: 'h', port: 1 });
    expect(error).toMatchObject({ code, hint: expect.stringMatching(/\w+/) });
    expect(error.message).toMatch(/database "d" at h:1 as user "u": \S/);
    expect(JSON.stringify(error)).not.toContain('s3cret');
  });
});

describe('dumpError', () => {
  const LOST = 'pg_dump: error: query failed: server closed the connection unexpectedly';
  it.each([
    ['pg_dump: error: aborting because of server version mismatch', false, 'SERVER_TOO_NEW'],
    [
      'ERROR:  canceling statement due to statement timeout\ndetail: Query was: LOCK TABLE public.t IN ACCESS SHARE MODE',
      false,
      'SERVER_BUSY',
    ],
    ['ERROR:  canceling statement due to lock timeout', false, 'SERVER_BUSY'],
    ['ERROR:  canceling statement due to statement timeout\nQuery was: COPY public.t', true, 'TOOL_FAILED'],
    ['ERROR:  permission denied for table t', false, 'UNREADABLE'],
    ['ERROR:  query would be affected by row-level security policy for table "t"', true, 'UNREADABLE'],
    ['pg_dump: error: no matching tables were found for pattern "x"', false, 'SOURCE_MISSING'],
    ['connection to server at "h" failed: FATAL:  password authentication failed', false, 'SERVER_AUTH'],
    ['connection to server at "h" failed: Connection refused', false, 'SERVER_UNREACHABLE'],
    [LOST, false, 'SERVER_UNREACHABLE'],
    [LOST, true, 'TOOL_FAILED'],
    ['pg_dump: error: something else', false, 'TOOL_FAILED'],
  ])('%s (some bytes received: %s) is %s', (stderr, received, code) => {
    const failed = new BackupError('TOOL_FAILED', `pg_dump exited with status 1: ${stderr}`, { hint: 'x' });
    expect(dumpError(failed, received)).toMatchObject({ code, message: failed.message });
  });

  it('leaves other errors alone', () => {
    const error = new BackupError('TOOL_MISSING', 'permission denied for x');
    expect(dumpError(error, false)).toBe(error);
  });
});
