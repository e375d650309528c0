import { escapeIdentifier, escapeLiteral } from 'pg';
import type { DatabaseLocale } from '../domain/manifest.ts';
import type { Session } from './session.ts';
import { sqlState } from './sql-state.ts';

/** The first server that knows providers, and so says which one is meant. */
const PROVIDERS_MAJOR = 15;
/** SQLSTATE classes of what is wrong with a locale: invalid value, wrong or unknown object, not supported. */
const LOCALE_REFUSED = /^(?:22|42|0A)/;
/** Of the same classes: not permitted, and a database of that name. */
const OTHER_REFUSALS = ['42501', '42P04'];
/** Sources of a setting, in `pg_settings`, that need not count for a database that is made. */
const OF_SESSION = ['database', 'database user', 'client', 'session'];

/** How a database is to sort and encode text; what is left out is as in template0. */
export type LocaleChoice = Partial<Omit<DatabaseLocale, 'monetary'>>;

export interface WantedDatabase {
  name: string;
  owner?: string;
  tablespace?: string;
  /** Best first. */
  choices: readonly LocaleChoice[];
  /** By which it writes and reads money. */
  monetary?: string | undefined;
}

export interface MadeDatabase {
  chosen: LocaleChoice;
  /** What the server said to the best choice, when it took another. */
  refusal?: Error;
  /** What it said to `monetary`, which then is not set. */
  monetaryRefusal?: Error;
}

/**
 * Makes an empty database from template0, which has nothing of this server in it, with the first of the locales
 * that the server accepts.
 *
 * Throws what `pg` throws; where no locale is accepted, what the server said to the best.
 * @param major of the server.
 */
export async function createDatabase(
  session: Session,
  major: number,
  wanted: WantedDatabase,
): Promise<MadeDatabase> {
  let refusal: Error | undefined;
  for (const choice of wanted.choices) {
    try {
      await session.query(createStatement(wanted, choice, major));
    } catch (error) {
      if (!isLocaleRefusal(error)) throw error;
      refusal ??= error;
      continue;
    }
    const monetaryRefusal = await setMonetary(session, wanted);
    return {
      chosen: choice,
      ...(refusal === undefined ? {} : { refusal }),
      ...(monetaryRefusal === undefined ? {} : { monetaryRefusal }),
    };
  }
  throw refusal ?? new RangeError('there was nothing to attempt');
}

/** Whether a server has said that it does not have a locale or encoding, or not together. */
export function isLocaleRefusal(error: unknown): error is Error {
  const code = sqlState(error) ?? '';
  return LOCALE_REFUSED.test(code) && !OTHER_REFUSALS.includes(code);
}

/** A locale as it was recorded, and what sorts and encodes the same. */
export function choicesLike(locale: DatabaseLocale): LocaleChoice[] {
  const { provider } = locale;
  if (provider === undefined || provider === 'libc') return [locale];
  // The provider sorts; what libc is asked beside it hardly matters.
  return [locale, { ...locale, collate: 'C', ctype: 'C' }];
}

/** For people: `en_US.UTF-8`, `C and pt_PT.UTF-8`, `de-DE of icu`. */
export function describeLocale({ collate, ctype, provider, provider_locale }: DatabaseLocale): string {
  const names = collate === ctype ? collate : `${collate} and ${ctype}`;
  return provider_locale === undefined ? names : `${provider_locale} of ${provider} with ${names}`;
}

function createStatement({ name, owner, tablespace }: WantedDatabase, choice: LocaleChoice, major: number) {
  const { encoding, collate, ctype, provider, provider_locale } = choice;
  const ofProvider = provider ?? (collate === undefined ? undefined : 'libc');
  const names = major >= PROVIDERS_MAJOR ? ofProvider !== undefined : (ofProvider ?? 'libc') !== 'libc';
  return [
    `CREATE DATABASE ${escapeIdentifier(name)} TEMPLATE template0`,
    ...(owner === undefined ? [] : [`OWNER ${escapeIdentifier(owner)}`]),
    ...(tablespace === undefined ? [] : [`TABLESPACE ${escapeIdentifier(tablespace)}`]),
    ...(encoding === undefined ? [] : [`ENCODING ${escapeLiteral(encoding)}`]),
    ...(collate === undefined ? [] : [`LC_COLLATE ${escapeLiteral(collate)}`]),
    ...(ctype === undefined ? [] : [`LC_CTYPE ${escapeLiteral(ctype)}`]),
    ...(names ? [`LOCALE_PROVIDER ${escapeIdentifier(ofProvider ?? '')}`] : []),
    ...(provider_locale === undefined
      ? []
      : [`${provider === 'icu' ? 'ICU_LOCALE' : 'BUILTIN_LOCALE'} ${escapeLiteral(provider_locale)}`]),
  ].join(' ');
}

async function setMonetary(session: Session, { name, monetary }: WantedDatabase): Promise<Error | undefined> {
  if (monetary === undefined) return undefined;
  try {
    const isDefault = await session.query(
      `SELECT FROM pg_catalog.pg_settings WHERE name = 'lc_monetary' AND setting = $1 AND source <> ALL ($2)`,
      [monetary, OF_SESSION],
    );
    if (isDefault.length > 0) return undefined;
    await session.query(
      `ALTER DATABASE ${escapeIdentifier(name)} SET lc_monetary TO ${escapeLiteral(monetary)}`,
    );
    return undefined;
  } catch (error) {
    // The database is there: whatever the server says to this is no reason to fail.
    if (sqlState(error) === undefined) throw error;
    return error as Error;
  }
}
