import { existsSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { BackupError } from '../domain/errors.ts';
import { isPort, parseConnectionUri } from './connection-uri.ts';
import { refusalOf, valuesOfEnvironment } from './libpq-keywords.ts';
import { lookUpPassword } from './password-file.ts';
import { readService } from './service-file.ts';

const DEFAULT_PORT = 5432;
const DEFAULT_CONNECT_TIMEOUT_S = 15;
/** Compiled into libpq: the first by Debian and RPM builds, the second by all others. */
const DEFAULT_SOCKET_DIRECTORIES = ['/var/run/postgresql', '/tmp'];

const SSL_MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof SSL_MODES)[number];

const SESSION_ATTRS = ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'] as const;
export type SessionAttrs = (typeof SESSION_ATTRS)[number];

/** One server to try. */
export interface Target {
  /** A name, an address or, starting with `/`, a socket directory. */
  readonly host: string;
  /** Connect to this address instead of resolving `host`. */
  readonly hostaddr?: string;
  readonly port: number;
}

/** What a connection URI means, with everything that libpq would take from elsewhere filled in. */
export interface ConnectionParams {
  /** In the order to try. */
  readonly targets: readonly Target[];
  readonly user: string;
  readonly database: string;
  /** Per target; 0 waits for ever. */
  readonly connectTimeout_ms: number;
  readonly sslMode: SslMode;
  readonly sessionAttrs: SessionAttrs;
  readonly shuffle: boolean;
  readonly applicationName: string;
  /** Every libpq keyword that was given, by URI, service or environment. Holds no password. */
  readonly given: ReadonlyMap<string, string>;
  /** The password for a target: from the URI, service or environment, else from the password file. */
  password(target: Target): Promise<string | undefined>;
}

/**
 * Reads a connection URI as libpq does: what the URI leaves out comes from its service, then from the PG*
 * variables, then from libpq's own defaults. Throws CONFIG_INVALID; its message never holds the password.
 */
export async function resolveConnection(uri: string, env: NodeJS.ProcessEnv): Promise<ConnectionParams> {
  const explicit = parseConnectionUri(uri);
  const environment = valuesOfEnvironment(env);
  const service = explicit.get('service') ?? environment.get('service');
  const servicefile = explicit.get('servicefile') ?? environment.get('servicefile');
  const fromService = service === undefined ? undefined : await readService(service, servicefile, env);
  const given = new Map([...environment, ...(fromService ?? []), ...explicit]);
  for (const keyword of given.keys()) {
    const refusal = refusalOf(keyword);
    if (refusal !== undefined) throw invalid(`${keyword} is set in the environment`, `Unset it: ${refusal}.`);
  }
  const password = given.get('password');
  given.delete('password');
  const user = given.get('user') ?? operatingSystemUser();
  const database = given.get('dbname') ?? user;
  const passfile = given.get('passfile') ?? join(env['HOME'] ?? homedir(), '.pgpass');
  return {
    targets: targetsOf(given),
    user,
    database,
    connectTimeout_ms: connectTimeout(given.get('connect_timeout')),
    sslMode: oneOf('sslmode', given.get('sslmode') ?? 'prefer', SSL_MODES),
    sessionAttrs: oneOf('target_session_attrs', given.get('target_session_attrs') ?? 'any', SESSION_ATTRS),
    shuffle:
      oneOf('load_balance_hosts', given.get('load_balance_hosts') ?? 'disable', ['disable', 'random']) ===
      'random',
    applicationName: given.get('application_name') ?? given.get('fallback_application_name') ?? 'cofre',
    given,
    password: async ({ host, hostaddr, port }) =>
      password ??
      (await lookUpPassword(passfile, { host: passwordHost(host, hostaddr), port, database, user })),
  };
}

/** For messages: `db.example.org:5432`, `/run/postgresql:5432`. */
export function describeTarget(target: Target): string {
  return target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`;
}

function targetsOf(given: ReadonlyMap<string, string>): Target[] {
  const addresses = given.get('hostaddr')?.split(',') ?? [];
  const names = given.get('host')?.split(',') ?? [];
  const ports = given.get('port')?.split(',') ?? [];
  const count = Math.max(addresses.length, names.length, 1);
  if (addresses.length > 0 && names.length > 0 && addresses.length !== names.length) {
    throw invalid(
      `${names.length} hosts are named with ${addresses.length} hostaddr`,
      'Give one for each host.',
    );
  }
  if (ports.length > 1 && ports.length !== count) {
    throw invalid(
      `${count} hosts are named with ${ports.length} ports`,
      'Give one port, or one for each host.',
    );
  }
  return Array.from({ length: count }, (_, at) => {
    const hostaddr = addresses[at] === '' ? undefined : addresses[at];
    const name = names[at] === '' ? undefined : names[at];
    const port = ports.length === 1 ? ports[0] : ports[at];
    const host = name ?? hostaddr ?? defaultSocketDirectory();
    // The abstract socket namespace, which `pg` cannot reach.
    if (host.startsWith('@'))
      throw invalid('the host is an abstract socket', 'Name the directory of a socket.');
    return { host, ...(hostaddr === undefined ? {} : { hostaddr }), port: portOf(port) };
  });
}

function portOf(text: string | undefined): number {
  if (text === undefined || text === '') return DEFAULT_PORT;
  if (!isPort(text)) throw invalid('a port is no number from 1 to 65535', 'Correct the port.');
  return Number(text);
}

function defaultSocketDirectory(): string {
  return DEFAULT_SOCKET_DIRECTORIES.find((directory) => existsSync(directory)) ?? '/tmp';
}

/** The default socket directory goes by the name localhost in a password file. */
function passwordHost(host: string, hostaddr: string | undefined): string {
  return hostaddr === undefined && host === defaultSocketDirectory() ? 'localhost' : host;
}

function connectTimeout(text: string | undefined): number {
  const seconds = text === undefined ? DEFAULT_CONNECT_TIMEOUT_S : Number(text);
  if (!Number.isInteger(seconds)) throw invalid('connect_timeout is no whole number', 'Give seconds.');
  // libpq waits for at least 2 seconds, and for ever when told 0 or less.
  return seconds <= 0 ? 0 : Math.max(2, seconds) * 1000;
}

function operatingSystemUser(): string {
  try {
    return userInfo().username;
  } catch {
    throw invalid(
      'no user is named, and the user cofre runs as has no name',
      'Write postgresql://user@host/…',
    );
  }
}

function oneOf<T extends string>(keyword: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw invalid(`${keyword} is "${value}"`, `Allowed are: ${allowed.join(', ')}.`);
  return found;
}

function invalid(reason: string, hint: string): BackupError {
  return new BackupError('CONFIG_INVALID', `the connection parameters are not usable: ${reason}`, { hint });
}
