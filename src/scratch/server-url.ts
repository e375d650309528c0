import type { ConnectionParams, Target } from '../postgres/connection-params.ts';

/** Keywords that chose the server, or that the URL says in another way. */
const SETTLED = new Set(['service', 'servicefile', 'target_session_attrs', 'load_balance_hosts']);

/** A URI of another database on the very server that a session was opened on. Holds the password. */
export function urlOfDatabase(
  params: ConnectionParams,
  target: Target,
  password: string | undefined,
  database: string,
): string {
  const given = [...params.given].filter(([keyword]) => !SETTLED.has(keyword));
  const values = new Map([
    ...given,
    ['user', params.user],
    ['host', target.host],
    ['port', String(target.port)],
    ['dbname', database],
  ]);
  if (target.hostaddr === undefined) values.delete('hostaddr');
  else values.set('hostaddr', target.hostaddr);
  if (password !== undefined) values.set('password', password);
  const query = [...values].map(([keyword, value]) => `${keyword}=${encodeURIComponent(value)}`);
  return `postgresql://?${query.join('&')}`;
}
