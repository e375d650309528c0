import { escapeIdentifier, escapeLiteral } from 'pg';
import type { DatabaseLocale } from '../domain/manifest.ts';
import type { Session } from '../postgres/session.ts';
import { notProvable } from './not-provable.ts';

/** The first server that knows providers, and so says which one is meant. */
const PROVIDERS_MAJOR = 15;
/** SQLSTATE classes of what is wrong with a locale: invalid value, wrong or unknown object, not supported. */
const LOCALE_REFUSED = /^(?:22|42|0A)/;
/** Of the same classes: not permitted, and a database of that name. */
const OTHER_REFUSALS = ['42501', '42P04'];

export interface MadeDatabase {
  sameLocale: boolean;
  remarks: string[];
}

/** A way to make a database that sorts and encodes text nearly as wished for. */
interface Candidate {
  locale: DatabaseLocale;
  same: boolean;
}

/**
 * Makes a database from template0 with the encoding and locale wished for, or, where the machine lacks the
 * locale, with the same encoding and one that every machine has. Throws NOT_PROVABLE when not even that is
 * possible, and what `pg` throws for anything else.
 * @param major of the server.
 */
export async function createDatabase(
  session: Session,
  name: string,
  wish: DatabaseLocale | undefined,
  major: number,
): Promise<MadeDatabase> {
  let refusal: Error | undefined;
  for (const candidate of candidatesFor(wish)) {
    const { locale, same } = candidate;
    try {
      await session.query(createStatement(name, locale, major));
    } catch (error) {
      const { code = '' } = error as { code?: string };
      if (!LOCALE_REFUSED.test(code) || OTHER_REFUSALS.includes(code)) throw error;
      refusal ??= error as Error;
      continue;
    }
    if (wish === undefined) {
      const made = `${locale.encoding} with ${describeLocale(locale)}`;
      return { sameLocale: false, remarks: [`the locale of the source is not recorded: ${made}`] };
    }
    if (refusal === undefined) return { sameLocale: true, remarks: [] };
    const remark = `the locale ${describeLocale(wish)} is not available here: ${describeLocale(locale)}`;
    return { sameLocale: same, remarks: [remark] };
  }
  throw notProvable(
    `no database with the encoding ${wish?.encoding ?? 'UTF8'} can be made: ${refusal?.message}`,
    'Drill on a server that has this encoding: name it as scratch.url.',
    refusal,
  );
}

function candidatesFor(wish: DatabaseLocale | undefined): Candidate[] {
  const encoding = wish?.encoding ?? 'UTF8';
  const libc = (name: string) => ({ encoding, collate: name, ctype: name, provider: 'libc' });
  const candidates: Candidate[] = wish === undefined ? [] : [{ locale: wish, same: true }];
  if (wish?.provider !== undefined && wish.provider !== 'libc') {
    // The provider sorts; what libc is asked beside it hardly matters.
    candidates.push({ locale: { ...wish, collate: 'C', ctype: 'C' }, same: true });
  }
  // C takes letters outside ASCII for no letters.
  if (encoding === 'UTF8') candidates.push({ locale: libc('C.UTF-8'), same: false });
  candidates.push({ locale: libc('C'), same: false });
  return candidates;
}

function createStatement(name: string, locale: DatabaseLocale, major: number): string {
  const { encoding, collate, ctype, provider = 'libc', provider_locale } = locale;
  const options = [
    `TEMPLATE template0 ENCODING ${escapeLiteral(encoding)}`,
    `LC_COLLATE ${escapeLiteral(collate)} LC_CTYPE ${escapeLiteral(ctype)}`,
  ];
  if (major >= PROVIDERS_MAJOR || provider !== 'libc') {
    options.push(`LOCALE_PROVIDER ${escapeIdentifier(provider)}`);
    const keyword = provider === 'icu' ? 'ICU_LOCALE' : 'BUILTIN_LOCALE';
    if (provider_locale !== undefined) options.push(`${keyword} ${escapeLiteral(provider_locale)}`);
  }
  return `CREATE DATABASE ${escapeIdentifier(name)} ${options.join(' ')}`;
}

/** For people: `en_US.UTF-8`, `C and pt_PT.UTF-8`, `de-DE of icu`. */
function describeLocale({ collate, ctype, provider, provider_locale }: DatabaseLocale): string {
  const names = collate === ctype ? collate : `${collate} and ${ctype}`;
  return provider_locale === undefined ? names : `${provider_locale} of ${provider} with ${names}`;
}
