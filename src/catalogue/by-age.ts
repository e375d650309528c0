import type { ManifestSummary } from '../domain/manifest.ts';

/** The order of lists and of the index: oldest first. */
export function byAge(a: ManifestSummary, b: ManifestSummary): number {
  if (a.timestamp !== b.timestamp) return a.timestamp < b.timestamp ? -1 : 1;
  return a.filename < b.filename ? -1 : 1;
}
