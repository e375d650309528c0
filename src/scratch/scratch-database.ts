import type { DatabaseLocale } from '../domain/manifest.ts';
import {
  choicesLike,
  createDatabase,
  describeLocale,
  isLocaleRefusal,
  type MadeDatabase,
} from '../postgres/create-database.ts';
import type { Session } from '../postgres/session.ts';
import { notProvable } from './not-provable.ts';

export interface MadeScratch {
  sameLocale: boolean;
  sameMoney: boolean;
  remarks: string[];
}

/**
 * Makes a database with the encoding and locale wished for, or, where the machine lacks the locale, with the same
 * encoding and one that every machine has. Throws NOT_PROVABLE when not even that is possible, and what `pg` throws
 * for anything else.
 * @param major of the server.
 */
export async function createScratchDatabase(
  session: Session,
  name: string,
  wish: DatabaseLocale | undefined,
  major: number,
): Promise<MadeScratch> {
  const encoding = wish?.encoding ?? 'UTF8';
  const libc = (locale: string) => ({ encoding, collate: locale, ctype: locale, provider: 'libc' });
  const like = wish === undefined ? [] : choicesLike(wish);
  // C takes letters outside ASCII for no letters.
  const fallbacks = encoding === 'UTF8' ? [libc('C.UTF-8'), libc('C')] : [libc('C')];
  let made: MadeDatabase;
  try {
    const choices = [...like, ...fallbacks];
    made = await createDatabase(session, major, { name, choices, monetary: wish?.monetary });
  } catch (error) {
    if (!isLocaleRefusal(error)) throw error;
    throw notProvable(
      `no database with the encoding ${encoding} can be made: ${error.message}`,
      'Drill on a server that has this encoding: name it as scratch.url.',
      error,
    );
  }
  const { chosen, refusal, monetaryRefusal } = made;
  const described = describeLocale({ ...libc('C'), ...chosen });
  if (wish === undefined) {
    const remark = `the locale of the source is not recorded: ${encoding} with ${described}`;
    return { sameLocale: false, sameMoney: false, remarks: [remark] };
  }
  return {
    sameLocale: like.includes(chosen),
    sameMoney: monetaryRefusal === undefined,
    remarks: [
      ...(refusal === undefined
        ? []
        : [`the locale ${describeLocale(wish)} is not available here: ${described}`]),
      ...(monetaryRefusal === undefined
        ? []
        : [`the locale ${wish.monetary}, by which money is written, is not available here`]),
    ],
  };
}
