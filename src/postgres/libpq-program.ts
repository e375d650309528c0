import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import type { ConnectionParams, Target } from './connection-params.ts';

/** Keywords that were already acted upon: the chosen target and the password stand for them. */
const SETTLED = new Set([
  'service',
  'servicefile',
  'host',
  'hostaddr',
  'port',
  'user',
  'dbname',
  'passfile',
  'connect_timeout',
  'target_session_attrs',
  'load_balance_hosts',
  'fallback_application_name',
  'application_name',
  'sslmode',
]);
/** The first libpq that knows sslrootcert=system. */
const SYSTEM_ROOTS_MAJOR = 16;
/** Where distributions keep the authorities they trust, as one file: Debian, RPM, Alpine and macOS. */
const SYSTEM_ROOTS = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
];
const FILES = new Set(['sslcert', 'sslkey', 'sslrootcert', 'sslcrl']);

/**
 * A libpq connection string without a password that leads one of PostgreSQL's programs to the very server
 * `pg` was connected to. Source of the quoting:
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-KEYWORD-VALUE
 * @param major the version of the program, which may be too old for sslrootcert=system.
 */
export function connectionString(params: ConnectionParams, target: Target, major: number): string {
  const values = new Map([
    ['host', target.host],
    ...(target.hostaddr === undefined ? [] : ([['hostaddr', target.hostaddr]] as const)),
    ['port', String(target.port)],
    ['user', params.user],
    ['dbname', params.database],
    ['application_name', params.applicationName],
    ['connect_timeout', String(params.connectTimeout_ms / 1000)],
    ['sslmode', params.sslMode],
  ]);
  for (const [keyword, value] of params.given) {
    if (SETTLED.has(keyword)) continue;
    values.set(keyword, FILES.has(keyword) ? absolute(value) : value);
  }
  if (values.get('sslrootcert') === 'system' && major < SYSTEM_ROOTS_MAJOR) {
    values.set('sslrootcert', SYSTEM_ROOTS.find((file) => existsSync(file)) ?? 'system');
  }
  return [...values].map(([keyword, value]) => `${keyword}=${quote(value)}`).join(' ');
}

/**
 * The environment for such a program: ours without any PG* variable, since everything they say is in the
 * connection string, with the password, and with messages in English, since they are read.
 */
export function programEnvironment(env: NodeJS.ProcessEnv, password: string | undefined): NodeJS.ProcessEnv {
  const { LC_ALL: all, LANGUAGE: _, ...rest } = withoutLibpqVariables(env);
  // LC_ALL would win over LC_MESSAGES; what it says about the character set stays.
  const characters = all ?? rest['LC_CTYPE'];
  return {
    ...rest,
    ...(characters === undefined ? {} : { LC_CTYPE: characters }),
    LC_MESSAGES: 'C',
    ...(password === undefined ? {} : { PGPASSWORD: password }),
  };
}

/**
 * An environment in which a connection URI means what it says: variables such as PGHOSTADDR, PGOPTIONS or
 * PGREQUIREAUTH are meant for other servers.
 */
export function withoutLibpqVariables(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('PG')));
}

/**
 * The parameters of sessions that begin with these settings, whatever is set for the role or the database. Those
 * that are given with the connection stay. Some poolers refuse all such options.
 */
export function withSettings(
  params: ConnectionParams,
  settings: ReadonlyMap<string, string>,
): ConnectionParams {
  if (settings.size === 0) return params;
  const options = params.given.get('options');
  const added = [...settings].map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\\s]/g, '\\$&')}`);
  // Of two that set the same, the last one counts.
  const all = [...(options === undefined ? [] : [options]), ...added].join(' ');
  return { ...params, given: new Map([...params.given, ['options', all]]) };
}

function absolute(path: string): string {
  return path === 'system' || path === '' || isAbsolute(path) ? path : resolve(path);
}

function quote(value: string): string {
  return `'${value.replaceAll(/[\\']/g, '\\$&')}'`;
}
