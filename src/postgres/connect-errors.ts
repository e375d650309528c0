import { BackupError } from '../domain/errors.ts';
import { type ConnectionParams, describeTarget, type Target } from './connection-params.ts';
import { LoginPolicyError, PasswordMissingError } from './login-policy.ts';

/** Only what may go away by itself: these faults are retried. */
const UNREACHABLE = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  // SQLSTATE: too many connections, shutting down, crashed, starting up.
  '53300',
  '57P01',
  '57P02',
  '57P03',
]);

/** What `pg` says, without any code, when the connection ended or the timeout passed. */
const LOST = /^(?:Connection terminated|timeout expired)/;
const NO_TLS = /^(?:The server does not support SSL|There was an error establishing an SSL)/;

/** Whether a failed attempt over TLS, or without, is worth one more the other way, as libpq has it. */
export function mayDifferWithoutTls(thrown: unknown): boolean {
  const { code, message } = thrown as { code?: string; message: string };
  return NO_TLS.test(message) || isTlsFault(code) || code === '28000' || code === 'ECONNRESET';
}

/**
 * A failed attempt to connect, as SERVER_UNREACHABLE, SERVER_AUTH or CONFIG_INVALID. The message names server,
 * database and user, and holds no password.
 */
export function connectError(thrown: unknown, params: ConnectionParams, target: Target): BackupError {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const { code } = error as { code?: string };
  const where = `database "${params.database}" at ${describeTarget(target)} as user "${params.user}"`;
  // The error that node:net throws for a name with several addresses has a code and no message.
  const reason = error.message === '' ? (code ?? error.name) : error.message;
  const message = `cannot connect to ${where}: ${reason}`;
  if (isUnreachable(code, error.message)) {
    return new BackupError('SERVER_UNREACHABLE', message, {
      hint: hintOfUnreachable(code, target),
      cause: error,
    });
  }
  if (code === '42704' || code === '22023' || code === '42601') {
    const hint = 'Correct `options` in the connection URI.';
    return new BackupError('CONFIG_INVALID', message, { hint, cause: error });
  }
  return new BackupError('SERVER_AUTH', message, { hint: hintOfRefusal(error, code, params), cause: error });
}

/** A query that failed after the login: SERVER_UNREACHABLE when the connection was lost, else INTERNAL. */
export function queryError(thrown: unknown, target: Target): BackupError {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const { code } = error as { code?: string };
  const message = `a query at ${describeTarget(target)} failed: ${error.message}`;
  return isUnreachable(code, error.message)
    ? new BackupError('SERVER_UNREACHABLE', message, { hint: hintOfUnreachable(code, target), cause: error })
    : new BackupError('INTERNAL', message, {
        hint: 'Look at the log of the server; if it does not explain this, report it with the log of cofre.',
        cause: error,
      });
}

function isUnreachable(code: string | undefined, message: string): boolean {
  if (code === undefined) return LOST.test(message);
  // Class 08: connection exceptions, as poolers report when their server is away.
  return UNREACHABLE.has(code) || (code.startsWith('08') && !/no such (?:user|database)/i.test(message));
}

function isTlsFault(code: string | undefined): boolean {
  return (
    code !== undefined &&
    /^(?:ERR_TLS|ERR_SSL|ERR_OSSL|EPROTO|CERT_|UNABLE_TO_|.*SELF_SIGNED|HOSTNAME_)/.test(code)
  );
}

function hintOfUnreachable(code: string | undefined, target: Target): string {
  switch (code ?? '') {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'Correct the host in the connection URI, or repair name resolution on this machine.';
    case '53300':
      return 'Raise max_connections, or end sessions that are not used.';
    case '57P01':
    case '57P02':
    case '57P03':
      return 'Wait until the server has started.';
    default:
      return target.host.startsWith('/')
        ? 'Start the server, or correct the socket directory and port in the connection URI.'
        : 'Start the server, correct host and port in the connection URI, or open the firewall between them.';
  }
}

function hintOfRefusal(error: Error, code: string | undefined, params: ConnectionParams): string {
  if (error instanceof PasswordMissingError) {
    return 'Put the password into the connection URI, PGPASSWORD or a ~/.pgpass that only its owner can read.';
  }
  if (error instanceof LoginPolicyError) {
    return 'Change the login method in pg_hba.conf, or relax channel_binding or require_auth in the URI.';
  }
  if (NO_TLS.test(error.message)) return 'Turn on ssl at the server, or set sslmode=prefer in the URI.';
  if (isTlsFault(code)) {
    return 'Name in sslrootcert the root that signed the certificate of the server, and in the URI the host it is for.';
  }
  switch (code ?? '') {
    case '28P01':
      return `Correct the password of "${params.user}" in the secret that holds the connection URI.`;
    case '3D000':
      return 'Correct the database in the connection URI, or create it.';
    case '42501':
      return `As the owner of the database: GRANT CONNECT ON DATABASE ${identifier(params.database)} TO ${identifier(params.user)};`;
    case 'EACCES':
      return 'Give the user that runs cofre access to the socket directory.';
    default:
      return 'Correct user, password and database in the connection URI, or let them in with pg_hba.conf.';
  }
}

/** Quotes an identifier for a statement that the reader is to type. */
export function identifier(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}
