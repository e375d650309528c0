import type { DatabaseLocale } from '../domain/manifest.ts';
import type { Session } from './session.ts';
import { sqlState } from './sql-state.ts';

/** SQLSTATE: what is asked for is not there, not supported or not permitted. */
const LOCALE_UNKNOWN = /^(?:42|0A)/;
/** How `pg_database` writes the providers of locales. */
const PROVIDERS: Readonly<Record<string, string>> = { b: 'builtin', c: 'libc', i: 'icu' };

/** How the session's database sorts and encodes text; undefined behind lookalikes that do not say. */
export async function readDatabaseLocale(session: Session): Promise<DatabaseLocale | undefined> {
  try {
    const [row] = await session.query<{ name: string; monetary: string | null }>(
      `SELECT pg_catalog.current_database()::text AS name,
              pg_catalog.current_setting('lc_monetary', true) AS monetary`,
    );
    const locale = row === undefined ? undefined : await readLocaleOf(session, row.name);
    // Empty: whatever the environment of the server says.
    const monetary = row?.monetary ?? '';
    return locale === undefined || monetary === '' ? locale : { ...locale, monetary };
  } catch (error) {
    if (LOCALE_UNKNOWN.test(sqlState(error) ?? '')) return undefined;
    throw error;
  }
}

/**
 * The same of any database of the server, without `monetary`, which is a setting. Undefined when there is none of
 * that name. Throws what `pg` throws.
 */
export async function readLocaleOf(session: Session, database: string): Promise<DatabaseLocale | undefined> {
  // Read as JSON, since the columns changed: datlocprovider came in 15, daticulocale became datlocale in 17.
  const [row] = await session.query<{ encoding: string | null; facts: Record<string, string | null> }>(
    `SELECT pg_catalog.pg_encoding_to_char(d.encoding)::text AS encoding,
            pg_catalog.jsonb_build_object(
              'collate', d.datcollate::text,
              'ctype', d.datctype::text,
              'provider', pg_catalog.to_jsonb(d) ->> 'datlocprovider',
              'locale', COALESCE(pg_catalog.to_jsonb(d) ->> 'datlocale', pg_catalog.to_jsonb(d) ->> 'daticulocale')
            ) AS facts
       FROM pg_catalog.pg_database d WHERE d.datname = $1`,
    [database],
  );
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
