import { escapeIdentifier, escapeLiteral } from 'pg';
import type { DatabaseLocale } from '../../domain/manifest.ts';
import { isLocaleRefusal } from '../../postgres/create-database.ts';
import type { Session } from '../../postgres/session.ts';
import { schemasIn } from './target-schemas.ts';

/** Locales in which a server speaks English. */
const ENGLISH = /^(?:$|C\b|POSIX$|en)/;

/** How the sessions that restore must begin. */
export interface RestoreSession {
  /** Names of all parameters of the server. */
  parameters: ReadonlySet<string>;
  /** By which the server reads data as they were written, and which a dump does not set; those that differ. */
  settings: ReadonlyMap<string, string>;
  /** For people: what cannot be set. */
  remarks: string[];
  /** That the database has. */
  schemas: ReadonlySet<string>;
}

/**
 * @param session in the database that is restored into, as the role that restores.
 * @param isNew whether that was made for the restore: nobody meant it to be read-only.
 */
export async function prepareSession(
  session: Session,
  { locale, isNew }: { locale: DatabaseLocale | undefined; isNew: boolean },
): Promise<RestoreSession> {
  const rows = await session.query<{ name: string; setting: string | null }>(
    'SELECT lower(name) AS name, setting FROM pg_catalog.pg_settings',
  );
  const found = new Map(rows.map(({ name, setting }) => [name, setting]));
  const settings = new Map<string, string>();
  const remarks: string[] = [];
  // Without it, an element of an array that is NULL becomes the text "NULL".
  if (found.get('array_nulls') === 'off') settings.set('array_nulls', 'on');
  if (isNew && found.get('default_transaction_read_only') === 'on') {
    settings.set('default_transaction_read_only', 'off');
  }
  // What it says is read. Others may not set this.
  const [role] = await session.query<{ superuser: string }>(
    "SELECT pg_catalog.current_setting('is_superuser') AS superuser",
  );
  const isEnglish = ENGLISH.test(found.get('lc_messages') ?? '');
  if (role?.superuser === 'on' && !isEnglish) settings.set('lc_messages', 'C');
  const monetary = locale?.monetary;
  if (monetary !== undefined && found.get('lc_monetary') !== monetary) {
    try {
      await session.query("SELECT pg_catalog.set_config('lc_monetary', $1, false)", [monetary]);
      settings.set('lc_monetary', monetary);
    } catch (error) {
      if (!isLocaleRefusal(error)) throw error;
      remarks.push(
        `the locale ${monetary}, by which the archive writes money, is not on this server: amounts of type money were read by ${found.get('lc_monetary')}`,
      );
    }
  }
  const schemas = await schemasIn(session);
  return { parameters: new Set(found.keys()), settings, remarks, schemas };
}

/** Statements that set them. */
export function settingStatements(settings: ReadonlyMap<string, string>): string[] {
  return [...settings].map(([name, value]) => `SET ${escapeIdentifier(name)} TO ${escapeLiteral(value)};`);
}
