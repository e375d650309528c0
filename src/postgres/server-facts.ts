import type { Session } from './session.ts';
import { sqlState } from './sql-state.ts';

/** What a server says about itself. */
export interface ServerFacts {
  /** As the server writes it: `15.18 (Debian 15.18-0+deb12u1)`. */
  readonly version: string;
  readonly major: number;
  readonly database: string;
  /** The role whose rights count. */
  readonly role: string;
  /** Identifies the cluster for as long as it lives; absent where the role may not ask. */
  readonly systemIdentifier?: string;
}

/** SQLSTATE: not permitted; no such function, as behind some poolers and lookalikes. */
const NOT_AVAILABLE = new Set(['42501', '42883']);

export async function readServerFacts(session: Session): Promise<ServerFacts> {
  const [row] = await session.query<{ version: string; number: string; database: string; role: string }>(
    `SELECT pg_catalog.current_setting('server_version') AS version,
            pg_catalog.current_setting('server_version_num') AS number,
            pg_catalog.current_database()::text AS database,
            current_user::text AS role`,
  );
  if (row === undefined) throw new RangeError('the server did not say what it is');
  const { version, database, role } = row;
  const systemIdentifier = await readSystemIdentifier(session);
  const major = Math.floor(Number(row.number) / 10_000);
  return { version, major, database, role, ...(systemIdentifier === undefined ? {} : { systemIdentifier }) };
}

async function readSystemIdentifier(session: Session): Promise<string | undefined> {
  try {
    const sql = 'SELECT system_identifier::text AS id FROM pg_catalog.pg_control_system()';
    const [row] = await session.query<{ id: string }>(sql);
    return row?.id;
  } catch (error) {
    if (NOT_AVAILABLE.has(sqlState(error) ?? '')) return undefined;
    throw error;
  }
}
