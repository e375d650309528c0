import { isFarAhead } from '../domain/due.ts';
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
  const good = context.catalogue
    .series(source)
    .filter(({ verification }) => verification.ok)
    .filter(({ created_at }) => at === undefined || Date.parse(created_at) <= at.getTime());
  return good.findLast(({ created_at }) => !isFarAhead(new Date(created_at), now)) ?? good.at(-1);
}
