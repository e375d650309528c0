import { archivePrefix, parseArchiveName } from '../domain/archive-name.ts';
import { ARCHIVE_TYPES } from '../domain/manifest.ts';
import { MANIFEST_SUFFIX } from './manifest-file.ts';

/** The manifest of the newest archive of a source, among the names of a directory; undefined when there is none. */
export function newestName(names: readonly string[], source: string): string | undefined {
  const ofTypes = ARCHIVE_TYPES.flatMap(
    (type) => newestWith(names, archivePrefix(type, source), source) ?? [],
  );
  return ofTypes.toSorted((a, b) => (a.timestamp < b.timestamp ? 1 : -1))[0]?.name;
}

function newestWith(
  names: readonly string[],
  prefix: string,
  source: string,
): { name: string; timestamp: string } | undefined {
  let newest: { name: string; timestamp: string } | undefined;
  // Behind one prefix, the order of names is that of time. They mostly come in order, too, so that from the end on few
  // have to be taken apart, which takes long.
  for (let index = names.length - 1; index >= 0; index -= 1) {
    const name = names[index] ?? '';
    if (!name.startsWith(prefix)) continue;
    if ((newest !== undefined && name <= newest.name) || !name.endsWith(MANIFEST_SUFFIX)) continue;
    // Sources share prefixes, and anything may lie here.
    const parsed = parseArchiveName(name.slice(0, -MANIFEST_SUFFIX.length));
    if (parsed?.source === source) newest = { name, timestamp: parsed.timestamp };
  }
  return newest;
}
