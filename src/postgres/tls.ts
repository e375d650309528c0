import { readFile, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, getCACertificates, type SecureVersion } from 'node:tls';
import { BackupError } from '../domain/errors.ts';
import type { ConnectionParams, SslMode, Target } from './connection-params.ts';

/** What to try, in order: `false` without TLS. */
export type TlsAttempt = false | ConnectionOptions;

const TLS_VERSIONS: readonly SecureVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

/**
 * libpq's sslmode and the files that go with it, as options for node:tls. A root certificate that exists makes
 * every mode check the chain; only verify-full checks the name. A unix socket never uses TLS.
 * Throws SERVER_AUTH when a file that is needed cannot be used.
 * Source: https://www.postgresql.org/docs/current/libpq-ssl.html
 */
export async function tlsAttempts(
  params: ConnectionParams,
  target: Target,
  env: NodeJS.ProcessEnv,
): Promise<TlsAttempt[]> {
  if (target.host.startsWith('/') && target.hostaddr === undefined) return [false];
  const mode = params.sslMode;
  if (mode === 'disable') return [false];
  const tls = await tlsOptions(params, target, mode, env);
  switch (mode) {
    case 'allow':
      return [false, tls];
    case 'prefer':
      return [tls, false];
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      return [tls];
    default:
      return mode satisfies never;
  }
}

async function tlsOptions(
  params: ConnectionParams,
  target: Target,
  mode: SslMode,
  env: NodeJS.ProcessEnv,
): Promise<ConnectionOptions> {
  const { given } = params;
  const directory = join(env['HOME'] ?? homedir(), '.postgresql');
  const ca = await rootCertificates(given.get('sslrootcert'), join(directory, 'root.crt'), mode);
  const withoutCertificate = given.get('sslcertmode') === 'disable';
  const certFile = given.get('sslcert');
  const cert = withoutCertificate
    ? undefined
    : await read('sslcert', certFile, join(directory, 'postgresql.crt'));
  const keyFile = given.get('sslkey') ?? join(directory, 'postgresql.key');
  if (cert !== undefined) await assertPrivate(keyFile);
  const key = cert === undefined ? undefined : await read('sslkey', keyFile, keyFile);
  const crl = await read('sslcrl', given.get('sslcrl'), join(directory, 'root.crl'));
  const minVersion = tlsVersion('ssl_min_protocol_version', given) ?? 'TLSv1.2';
  const maxVersion = tlsVersion('ssl_max_protocol_version', given);
  return {
    rejectUnauthorized: ca !== undefined,
    minVersion,
    ...(maxVersion === undefined ? {} : { maxVersion }),
    ...(ca === undefined ? {} : { ca }),
    ...(ca === undefined || crl === undefined ? {} : { crl }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(mode === 'verify-full' ? {} : { checkServerIdentity: () => undefined }),
    // Where an address is given, the name is still what the certificate must be for.
    ...(target.hostaddr === undefined || target.host === target.hostaddr
      ? {}
      : { host: target.host, servername: target.host }),
  };
}

async function rootCertificates(
  given: string | undefined,
  fallback: string,
  mode: SslMode,
): Promise<string | string[] | undefined> {
  const mustVerify = mode === 'verify-ca' || mode === 'verify-full';
  if (given === 'system') {
    if (mode === 'verify-full') return getCACertificates('system');
    throw unusable('sslrootcert=system', `does not go with sslmode=${mode}`, 'Set sslmode=verify-full.');
  }
  const file = given === undefined || given === '' ? fallback : given;
  const text = await readFile(file, 'utf8').catch((error: unknown) => error as NodeJS.ErrnoException);
  if (typeof text === 'string') return text;
  if (text.code === 'ENOENT' && !mustVerify) return undefined;
  const hint = 'Name the file with the root certificate in sslrootcert, or write sslrootcert=system.';
  throw unusable('the root certificate', `cannot be read: ${text.message}`, hint);
}

/** A file that was not named may be absent. */
async function read(
  keyword: string,
  given: string | undefined,
  fallback: string,
): Promise<string | undefined> {
  const named = given !== undefined && given !== '';
  try {
    return await readFile(named ? given : fallback, 'utf8');
  } catch (error) {
    if (!named && (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    const hint = `Correct the path in ${keyword}, or give the user that runs cofre access to it.`;
    throw unusable(keyword, `cannot be read: ${(error as Error).message}`, hint);
  }
}

/** libpq refuses a private key that others may read; better here than half-way, by pg_dump. */
async function assertPrivate(keyFile: string): Promise<void> {
  const stats = await stat(keyFile).catch(() => undefined);
  if (stats === undefined) return;
  const others = stats.uid === 0 ? 0o037 : 0o077;
  if ((stats.mode & others) === 0) return;
  throw unusable(keyFile, 'is a private key that other users can read', `Type \`chmod 0600 ${keyFile}\`.`);
}

function tlsVersion(keyword: string, given: ReadonlyMap<string, string>): SecureVersion | undefined {
  const value = given.get(keyword);
  if (value === undefined || value === '') return undefined;
  const version = TLS_VERSIONS.find((candidate) => candidate === value);
  if (version !== undefined) return version;
  throw unusable(keyword, `is "${value}"`, `Allowed are: ${TLS_VERSIONS.join(', ')}.`);
}

function unusable(what: string, reason: string, hint: string): BackupError {
  return new BackupError('SERVER_AUTH', `TLS cannot be set up: ${what} ${reason}`, { hint });
}
