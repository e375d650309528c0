import { escapeIdentifier, escapeLiteral } from 'pg';
import { BackupError } from '../../domain/errors.ts';
import type { DatabaseLocale } from '../../domain/manifest.ts';
import type { Session } from '../../postgres/session.ts';
import { sqlState } from './target-server.ts';

/** SQLSTATE of a locale or encoding that this server does not have, or not together. */
const NOT_ACCEPTED = new Set(['42809', '22023', '42704', '0A000', '42601']);
const DUPLICATE_DATABASE = '42P04';
/** The first server that knows providers, and the first with `BUILTIN_LOCALE`. */
const PROVIDERS_MAJOR = 15;
const BUILTIN_MAJOR = 17;

export interface NewDatabase {
  name: string;
  owner?: string;
  tablespace?: string;
  locale?: DatabaseLocale | undefined;
}

/**
 * Makes an empty database from template0, which has nothing of this server in it. Where the server does not
 * have the locale, the next best is taken: the encoding is never given up, since text would be lost with it.
 * Returns, for people, how it differs from what was wanted.
 *
 * Throws TARGET_REFUSED when there is one of that name, else what `pg` throws.
 */
export async function createDatabase(
  session: Session,
  major: number,
  { name, owner, tablespace, locale }: NewDatabase,
): Promise<string[]> {
  const base = [
    `CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE template0`,
    ...(owner === undefined ? [] : [`OWNER ${escapeIdentifier(owner)}`]),
    ...(tablespace === undefined ? [] : [`TABLESPACE ${escapeIdentifier(tablespace)}`]),
  ].join(' ');
  const wishes = locale === undefined ? [''] : localeClauses(locale, major);
  let refusal: Error | undefined;
  for (const wish of wishes) {
    try {
      await session.query(`${base} ${wish}`);
      return refusal === undefined ? [] : [await remark(session, name, refusal)];
    } catch (error) {
      if (sqlState(error) === DUPLICATE_DATABASE) {
        throw new BackupError('TARGET_REFUSED', `the database "${name}" exists`, {
          hint: 'Restore it without `--create`, which needs it to be empty, or with `--clean`, which replaces it.',
          cause: error,
        });
      }
      if (!NOT_ACCEPTED.has(sqlState(error) ?? '')) throw error;
      refusal ??= error as Error;
    }
  }
  throw refusal ?? new RangeError('there was nothing to attempt');
}

/** Best first. */
function localeClauses(locale: DatabaseLocale, major: number): string[] {
  const { encoding, collate, ctype, provider = 'libc', provider_locale } = locale;
  const encoded = `ENCODING ${escapeLiteral(encoding)}`;
  const libc = `${encoded} LC_COLLATE ${escapeLiteral(collate)} LC_CTYPE ${escapeLiteral(ctype)}`;
  const ofLibc = major < PROVIDERS_MAJOR ? libc : `${libc} LOCALE_PROVIDER libc`;
  const clauses = [ofLibc, encoded, `${encoded} LC_COLLATE 'C' LC_CTYPE 'C'`];
  if (provider === 'libc' || provider_locale === undefined || major < PROVIDERS_MAJOR) return clauses;
  if (provider === 'builtin' && major < BUILTIN_MAJOR) return clauses;
  const keyword = provider === 'builtin' ? 'BUILTIN_LOCALE' : 'ICU_LOCALE';
  const given = `LOCALE_PROVIDER ${escapeIdentifier(provider)} ${keyword} ${escapeLiteral(provider_locale)}`;
  return [`${libc} ${given}`, `${encoded} ${given}`, ...clauses];
}

async function remark(session: Session, name: string, refusal: Error): Promise<string> {
  const [row] = await session.query<{ encoding: string; collate: string; ctype: string }>(
    `SELECT pg_catalog.pg_encoding_to_char(encoding) AS encoding, datcollate AS collate, datctype AS ctype
       FROM pg_catalog.pg_database WHERE datname = $1`,
    [name],
  );
  const { encoding = '?', collate = '?', ctype = '?' } = row ?? {};
  const made = collate === ctype ? collate : `${collate}, ${ctype}`;
  return `the server did not accept the locale of the source (${refusal.message}): the database has ${encoding}, ${made}`;
}
