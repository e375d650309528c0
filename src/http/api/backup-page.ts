import type { ArchiveType, ManifestSummary } from '../../domain/manifest.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';

export interface PageQuery {
  type?: ArchiveType | undefined;
  source?: string | undefined;
  order: 'oldest' | 'newest';
  limit: number;
  cursor?: string | undefined;
}

export interface Page {
  page: ManifestSummary[];
  /** Of all pages. */
  total: number;
  /** Null on the last page. */
  next: string | null;
}

/** The key that lists are sorted by: the timestamp, then the filename. */
const PLACE = /^\d{8}_\d{6} [\w.-]{1,255}$/;

/**
 * One page of a list. A cursor names the last archive of the page before by what it is sorted by, so that archives
 * that come or go meanwhile, that one included, make no other appear twice or never.
 * @param backups oldest first.
 */
export function pageOf(backups: readonly ManifestSummary[], query: PageQuery): Page {
  const fitting = backups
    .filter((backup) => query.type === undefined || backup.type === query.type)
    .filter((backup) => query.source === undefined || backup.source === query.source);
  const ordered = query.order === 'oldest' ? fitting : fitting.toReversed();
  const after = query.cursor === undefined ? undefined : decodeCursor(query.cursor, PLACE);
  const start = after === undefined ? 0 : ordered.findIndex((backup) => isBehind(backup, after, query.order));
  const rest = start === -1 ? [] : ordered.slice(start);
  const page = rest.slice(0, query.limit);
  const last = page.at(-1);
  const isLast = last === undefined || page.length === rest.length;
  return { page, total: fitting.length, next: isLast ? null : encodeCursor(placeOf(last)) };
}

function isBehind(backup: ManifestSummary, place: string, order: PageQuery['order']): boolean {
  return order === 'oldest' ? placeOf(backup) > place : placeOf(backup) < place;
}

/** Neither part holds a space, which sorts before all they hold. */
function placeOf({ timestamp, filename }: ManifestSummary): string {
  return `${timestamp} ${filename}`;
}
