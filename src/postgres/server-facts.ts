import type { DatabaseLocale } from '../domain/manifest.ts';
import type { Session } from './session.ts';

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

/** SQLSTATE: what is asked for is not there, not supported or not permitted. */
const LOCALE_UNKNOWN = /^(?:42|0A)/;

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

/** How `pg_database` writes the providers of locales. */
const PROVIDERS: Readonly<Record<string, string>> = { b: 'builtin', c: 'libc', i: 'icu' };

/** How the session's database sorts and encodes text; undefined behind lookalikes that do not say. */
export async function readDatabaseLocale(session: Session): Promise<DatabaseLocale | undefined> {
  // Read as JSON, since the columns changed: datlocprovider came in 15, daticulocale became datlocale in 17.
  const [row] = await session
    .query<{ encoding: string | null; facts: Record<string, string | null> }>(
      `SELECT pg_catalog.pg_encoding_to_char(d.encoding)::text AS encoding,
              pg_catalog.jsonb_build_object(
                'collate', d.datcollate::text,
                'ctype', d.datctype::text,
                'provider', pg_catalog.to_jsonb(d) ->> 'datlocprovider',
                'locale', COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale')
              ) AS facts
         FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()`,
    )
    .catch((error: unknown) => {
      if (LOCALE_UNKNOWN.test((error as { code?: string }).code ?? '')) return [];
      throw error;
    });
  const { collate, ctype, provider: letter, locale } = row?.facts ?? {};
  const encoding = row?.encoding ?? '';
  if (encoding === '' || typeof collate !== 'string' || typeof ctype !== 'string') return undefined;
  const provider = PROVIDERS[letter ?? ''];
  return {
    encoding,
    collate,
    ctype,
    ...(provider === undefined ? {} : { provider }),
    ...(typeof locale === 'string' && locale !== '' ? { provider_locale: locale } : {}),
  };
}

async function readSystemIdentifier(session: Session): Promise<string | undefined> {
  try {
    const sql = 'SELECT system_identifier::text AS id FROM pg_catalog.pg_control_system()';
    const [row] = await session.query<{ id: string }>(sql);
    return row?.id;
  } catch (error) {
    if (NOT_AVAILABLE.has((error as { code?: string }).code ?? '')) return undefined;
    throw error;
  }
}
