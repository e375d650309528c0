import { isFarAhead } from '../domain/far-ahead.ts';
import { BackupError } from '../domain/errors.ts';
import type { ManifestSummary } from '../domain/manifest.ts';
import type { EngineContext } from './context.ts';

/**
 * The newest archive of a source that verifies, which is what one would restore; undefined when there is none. One
 * dated later than the clock was written under a wrong one, and stands back.
 * @param at The archive must not be newer than this.
 */
export function newestVerified(
  context: EngineContext,
  source: string,
  at?: Date,
): ManifestSummary | undefined {
  const now = context.clock.now();
  const good = untilThen(context, source, at).filter(({ verification }) => verification.ok);
  return good.findLast(({ created_at }) => !isFarAhead(new Date(created_at), now)) ?? good.at(-1);
}

/**
 * Its filename. Throws ARCHIVE_UNKNOWN where there is none, with what there is.
 * @param at `text` is how it was given.
 */
export function nameNewestVerified(
  context: EngineContext,
  source: string,
  at?: { time: Date; text: string },
): string {
  const newest = newestVerified(context, source, at?.time);
  if (newest !== undefined) return newest.filename;
  const when = at === undefined ? '' : ` from ${at.text} or before`;
  const of = `of the source ${JSON.stringify(source)}${when}`;
  const count = untilThen(context, source, at?.time).length;
  if (count === 0) {
    throw new BackupError('ARCHIVE_UNKNOWN', `there is no backup ${of}`, {
      path: source,
      hint: '`cofre list` shows all backups.',
    });
  }
  const none = count === 1 ? 'the only backup' : `none of the ${count} backups`;
  throw new BackupError('ARCHIVE_UNKNOWN', `${none} ${of} ${count === 1 ? 'does not verify' : 'verifies'}`, {
    path: source,
    hint: '`cofre verify` looks at them again; a filename in place of `--latest` takes one all the same.',
  });
}

function untilThen({ catalogue }: EngineContext, source: string, at?: Date): ManifestSummary[] {
  return catalogue
    .series(source)
    .filter(({ created_at }) => at === undefined || Date.parse(created_at) <= at.getTime());
}
