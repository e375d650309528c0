import { BackupError } from '../../domain/errors.ts';
import type { DatabaseLocale } from '../../domain/manifest.ts';
import {
  choicesLike,
  createDatabase,
  describeLocale,
  type MadeDatabase,
  type WantedDatabase,
} from '../../postgres/create-database.ts';
import { readLocaleOf } from '../../postgres/database-locale.ts';
import type { Session } from '../../postgres/session.ts';
import { sqlState } from '../../postgres/sql-state.ts';

const DUPLICATE_DATABASE = '42P04';

export interface NewDatabase extends Omit<WantedDatabase, 'choices' | 'monetary'> {
  locale?: DatabaseLocale | undefined;
}

/**
 * Makes an empty database. Where the server does not have the locale, that of template0 is taken, or C: the encoding
 * is never given up, since text would be lost with it. Returns, for people, how it differs from what was wanted.
 *
 * Throws TARGET_REFUSED when there is one of that name, else what `pg` throws.
 */
export async function createTargetDatabase(
  session: Session,
  major: number,
  { locale, ...wanted }: NewDatabase,
): Promise<string[]> {
  let made: MadeDatabase;
  try {
    made = await createDatabase(session, major, {
      ...wanted,
      choices: locale === undefined ? [{}] : choicesFor(locale),
      monetary: locale?.monetary,
    });
  } catch (error) {
    if (sqlState(error) !== DUPLICATE_DATABASE) throw error;
    throw new BackupError('TARGET_REFUSED', `the database "${wanted.name}" exists`, {
      hint: 'Restore it without `--create`, which needs it to be empty, or with `--clean`, which replaces it.',
      cause: error,
    });
  }
  if (made.refusal === undefined) return [];
  const found = await readLocaleOf(session, wanted.name);
  const has = found === undefined ? 'another' : `${found.encoding}, ${describeLocale(found)}`;
  const said = made.refusal.message;
  return [`the server did not accept the locale of the source (${said}): the database has ${has}`];
}

function choicesFor(locale: DatabaseLocale) {
  const { encoding, collate, ctype } = locale;
  return [
    ...choicesLike(locale),
    { encoding, collate, ctype, provider: 'libc' },
    { encoding },
    { encoding, collate: 'C', ctype: 'C', provider: 'libc' },
  ];
}
