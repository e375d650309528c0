/**
 * The connection parameters of libpq 10 to 18 and what each becomes here.
 * Source: https://www.postgresql.org/docs/current/libpq-connect.html and libpq-envars.html.
 */
interface Keyword {
  /** The environment variable that gives its default. */
  env?: string;
  /** Why it is not accepted: a setting that one of the two drivers would ignore must not pass in silence. */
  refused?: string;
}

const NO_GSS = 'Kerberos logins are not supported; use a password or a client certificate';

const KEYWORDS: Readonly<Record<string, Keyword>> = {
  service: { env: 'PGSERVICE' },
  servicefile: { env: 'PGSERVICEFILE' },
  host: { env: 'PGHOST' },
  hostaddr: { env: 'PGHOSTADDR' },
  port: { env: 'PGPORT' },
  dbname: { env: 'PGDATABASE' },
  user: { env: 'PGUSER' },
  password: { env: 'PGPASSWORD' },
  passfile: { env: 'PGPASSFILE' },
  connect_timeout: { env: 'PGCONNECT_TIMEOUT' },
  client_encoding: { env: 'PGCLIENTENCODING' },
  options: { env: 'PGOPTIONS' },
  application_name: { env: 'PGAPPNAME' },
  fallback_application_name: {},
  keepalives: {},
  keepalives_idle: {},
  keepalives_interval: {},
  keepalives_count: {},
  tcp_user_timeout: {},
  target_session_attrs: { env: 'PGTARGETSESSIONATTRS' },
  load_balance_hosts: { env: 'PGLOADBALANCEHOSTS' },
  sslmode: { env: 'PGSSLMODE' },
  sslnegotiation: { env: 'PGSSLNEGOTIATION' },
  sslcompression: { env: 'PGSSLCOMPRESSION' },
  sslcert: { env: 'PGSSLCERT' },
  sslkey: { env: 'PGSSLKEY' },
  sslcertmode: { env: 'PGSSLCERTMODE' },
  sslrootcert: { env: 'PGSSLROOTCERT' },
  sslcrl: { env: 'PGSSLCRL' },
  sslsni: { env: 'PGSSLSNI' },
  ssl_min_protocol_version: { env: 'PGSSLMINPROTOCOLVERSION' },
  ssl_max_protocol_version: { env: 'PGSSLMAXPROTOCOLVERSION' },
  min_protocol_version: { env: 'PGMINPROTOCOLVERSION' },
  max_protocol_version: { env: 'PGMAXPROTOCOLVERSION' },
  channel_binding: { env: 'PGCHANNELBINDING' },
  require_auth: { env: 'PGREQUIREAUTH' },
  gssencmode: { env: 'PGGSSENCMODE' },
  sslpassword: {
    refused: 'it would stand on the command line of pg_dump; store the key of sslkey without a password',
  },
  scram_client_key: { refused: 'it would stand on the command line of pg_dump; use the password' },
  scram_server_key: { refused: 'it would stand on the command line of pg_dump; use the password' },
  sslcrldir: { env: 'PGSSLCRLDIR', refused: 'name one file with sslcrl instead' },
  sslkeylogfile: { refused: 'it would write the keys of the session to a file' },
  requirepeer: { env: 'PGREQUIREPEER', refused: 'use a socket directory that only the server can write to' },
  krbsrvname: { env: 'PGKRBSRVNAME', refused: NO_GSS },
  gsslib: { env: 'PGGSSLIB', refused: NO_GSS },
  gssdelegation: { env: 'PGGSSDELEGATION', refused: NO_GSS },
  replication: { refused: 'a replication connection cannot be dumped' },
};

/** What a URI may hold, for messages. */
export const ALLOWED_KEYWORDS: readonly string[] = Object.keys(KEYWORDS).filter(
  (keyword) => KEYWORDS[keyword]?.refused === undefined,
);

/** Whether libpq knows the keyword, also when it is refused here. */
export function isKeyword(keyword: string): boolean {
  return Object.hasOwn(KEYWORDS, keyword);
}

/** The reason why a known keyword is refused. */
export function refusalOf(keyword: string): string | undefined {
  return KEYWORDS[keyword]?.refused;
}

/** The values that the PG* variables of an environment give, by keyword. */
export function valuesOfEnvironment(env: NodeJS.ProcessEnv): Map<string, string> {
  const values = new Map<string, string>();
  for (const [keyword, { env: variable }] of Object.entries(KEYWORDS)) {
    const value = variable === undefined ? undefined : env[variable];
    if (value !== undefined && value !== '') values.set(keyword, value);
  }
  return values;
}
