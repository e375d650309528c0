import { BackupError } from '../domain/errors.ts';
import { POSTGRES_URI_START } from '../domain/postgres-uri.ts';
import { ALLOWED_KEYWORDS, isKeyword, refusalOf } from './libpq-keywords.ts';

/** A parameter of `pg` alone, which asks for the behaviour that every URI has here. */
const PG_COMPAT = 'uselibpqcompat';

/**
 * Takes `postgresql://[user[:password]@][host[:port]][,…][/database][?name=value[&…]]` apart into libpq's
 * keywords, as conninfo_uri_parse_options of libpq does: several hosts stand in `host` and `port` with
 * commas, an empty part is absent, and a parameter overrides what stands before the `?`.
 *
 * Throws CONFIG_INVALID for anything libpq would not take. No message holds any part of the URI but the names
 * of parameters: where a password is not encoded, what looks like a host may be the rest of it.
 */
export function parseConnectionUri(uri: string): Map<string, string> {
  const scheme = POSTGRES_URI_START.exec(uri)?.[0];
  if (scheme === undefined) {
    throw malformed('it does not start with postgresql:// (also allowed: postgres://, postgresql+driver://)');
  }
  const values = new Map<string, string>();
  let rest = uri.slice(scheme.length);
  const credentials = /^([^@/]*)@/.exec(rest);
  if (credentials !== null) {
    rest = rest.slice(credentials[0].length);
    const [, user = '', password = ''] = /^([^:]*):?(.*)$/s.exec(credentials[1] ?? '') ?? [];
    store(values, 'user', decode(user, 'the user'));
    store(values, 'password', decode(password, 'the password'));
  }
  // libpq would take what follows for a host or a database, and its name would be shown: it is more likely the
  // rest of a password with an @ or a / in it.
  if (rest.includes('@')) throw malformed('it holds an @ that does not end the password; any other is %40');
  const authority = /^[^/?]*/.exec(rest)?.[0] ?? '';
  rest = rest.slice(authority.length);
  parseHosts(authority, values);
  const path = /^\/([^?]*)/.exec(rest);
  if (path !== null) {
    rest = rest.slice(path[0].length);
    store(values, 'dbname', decode(path[1] ?? '', 'the database'));
  }
  if (rest.startsWith('?')) parseParameters(rest.slice(1), values);
  return values;
}

function parseHosts(authority: string, values: Map<string, string>): void {
  const hosts: string[] = [];
  const ports: string[] = [];
  for (const part of authority.split(',')) {
    const match = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(.*))?$/s.exec(part);
    if (match === null) throw malformed('the part between // and the database is no host[:port]');
    const port = match[3] ?? '';
    if (port !== '' && !isPort(port)) throw malformed('a port is no number from 1 to 65535');
    hosts.push(decode(match[1] ?? match[2] ?? '', 'the host'));
    ports.push(port);
  }
  store(values, 'host', hosts.join(','));
  store(values, 'port', ports.join(','));
}

function parseParameters(query: string, values: Map<string, string>): void {
  if (query === '') return;
  for (const parameter of query.split('&')) {
    const [rawName = '', rawValue, ...more] = parameter.split('=');
    const name = decode(rawName, 'the name of a parameter');
    if (!/^\w+$/.test(name)) throw malformed('the name of a parameter after ? is empty or malformed');
    if (rawValue === undefined) throw malformed(`the parameter ${name} has no value`);
    if (more.length > 0) throw malformed(`the value of ${name} holds a =, which is written %3D`);
    const value = decode(rawValue, `the parameter ${name}`);
    if (name === PG_COMPAT) continue;
    // JDBC's spelling; libpq takes it too.
    if (name === 'ssl' && value === 'true') values.set('sslmode', 'require');
    else values.set(assertKeyword(name, 'the connection URI'), value);
  }
}

/** Returns the keyword; throws CONFIG_INVALID when libpq has none of that name, or it is refused. */
export function assertKeyword(name: string, where: string): string {
  if (!isKeyword(name)) {
    throw new BackupError('CONFIG_INVALID', `${where} holds the unknown parameter ${name}`, {
      hint: `Remove it or correct it. Allowed are: ${ALLOWED_KEYWORDS.join(', ')}.`,
    });
  }
  const refusal = refusalOf(name);
  if (refusal !== undefined) {
    throw new BackupError('CONFIG_INVALID', `${where} sets ${name}, which is not accepted`, {
      hint: `Remove ${name}: ${refusal}.`,
    });
  }
  return name;
}

export function isPort(text: string): boolean {
  return /^\d{1,5}$/.test(text) && Number(text) >= 1 && Number(text) <= 65_535;
}

function store(values: Map<string, string>, keyword: string, value: string): void {
  if (value !== '') values.set(keyword, value);
}

function decode(text: string, what: string): string {
  let decoded: string;
  try {
    decoded = decodeURIComponent(text);
  } catch {
    throw malformed(`${what} holds a % that is not followed by two hexadecimal digits of UTF-8`);
  }
  if (decoded.includes('\0')) throw malformed(`${what} holds a %00`);
  return decoded;
}

function malformed(reason: string): BackupError {
  return new BackupError('CONFIG_INVALID', `the connection URI is malformed: ${reason}`, {
    hint: 'Write postgresql://user:password@host:port/database, with : / ? # [ ] @ and % inside a part percent-encoded (@ is %40).',
  });
}
