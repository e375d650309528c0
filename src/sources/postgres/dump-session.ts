import type { ConnectionParams } from '../../postgres/connection-params.ts';
import { programEnvironment, withSettings } from '../../postgres/libpq-program.ts';
import type { Session } from '../../postgres/session.ts';

/**
 * Settings that pg_dump or pg_dumpall obeys in what it writes and does not set, as they must be for one database to
 * be dumped the same from everywhere. Their defaults: only a role or a database with another value needs them.
 */
const WRITTEN_WITH = [
  ['bytea_output', 'hex'],
  ['quote_all_identifiers', 'off'],
  ['standard_conforming_strings', 'on'],
] as const;

/**
 * The parameters for the session of pg_dump or pg_dumpall, from a session with those given. The dump is in the
 * encoding of the database: another one, as set for a role, may lack characters, and the dump of a restored
 * database would not be the same.
 */
export async function dumpParams(session: Session, params: ConnectionParams): Promise<ConnectionParams> {
  const wanted = new Map<string, string>(WRITTEN_WITH);
  const rows = await session.query<{ name: string; value: string | null }>(
    `SELECT name, pg_catalog.current_setting(name, true) AS value
       FROM pg_catalog.unnest($1::text[]) AS name`,
    [['server_encoding', ...wanted.keys()]],
  );
  const found = new Map(rows.map(({ name, value }) => [name, value ?? undefined]));
  const differing = [...wanted].filter(([name, value]) => (found.get(name) ?? value) !== value);
  const encoding = found.get('server_encoding');
  const given = new Map(params.given);
  if (encoding !== undefined) given.set('client_encoding', encoding);
  return withSettings({ ...params, given }, new Map(differing));
}

/**
 * The environment of pg_dump or pg_dumpall. Times are written in UTC and the ISO style, which any server reads: sent
 * as startup parameters of their own, which poolers know, unlike options.
 */
export function dumpEnvironment(env: NodeJS.ProcessEnv, password: string | undefined): NodeJS.ProcessEnv {
  return { ...programEnvironment(env, password), PGTZ: 'UTC', PGDATESTYLE: 'ISO' };
}
