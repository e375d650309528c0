import { ARCHIVE_TYPES } from '../domain/manifest.ts';
import type { EngineContext } from './context.ts';

/** What is wrong with the stock of archives, without reading one. */
export interface InventoryFault {
  filename: string;
  kind: 'orphan' | 'manifest' | 'missing' | 'lost';
  detail: string;
}

/**
 * Compares what lies at the location with what the journal says was written there: archives without a
 * manifest, manifests that cannot be read, manifests whose archive is gone or has another size, and archives
 * of which neither is left.
 */
export async function takeInventory(context: EngineContext): Promise<InventoryFault[]> {
  await context.journal.refresh();
  const recorded = [...context.journal.histories.archives];
  const orphans = await context.catalogue.orphans();
  const unreadable = context.catalogue.faults();
  const missing = await missingArchives(context);
  const known = new Set([...context.catalogue.list().map(({ filename }) => filename), ...orphans]);
  for (const { path } of unreadable) known.add(path ?? '');
  for (const filename of await context.catalogue.deletions()) known.add(filename);
  // A deletion that ended while we looked has its record by now.
  await context.journal.refresh();
  const { archives } = context.journal.histories;
  const lost = recorded.filter((filename) => archives.has(filename) && !known.has(filename)).sort();
  return [
    ...orphans.map((filename) => ({
      filename,
      kind: 'orphan' as const,
      detail: 'it has no manifest, so it is not counted as a backup',
    })),
    ...unreadable.map(({ path = '', message }) => ({
      filename: path,
      kind: 'manifest' as const,
      detail: message,
    })),
    ...[...missing].map((filename) => ({
      filename,
      kind: 'missing' as const,
      detail: 'its file is gone, or has not the size that was written',
    })),
    ...lost.map((filename) => ({
      filename,
      kind: 'lost' as const,
      detail:
        'the journal records it, but its archive and manifest are gone; `cofre delete` accepts the loss',
    })),
  ];
}

/** Filenames of the backups whose archive is not stored as it was written, judged by its size. */
export async function missingArchives(context: EngineContext): Promise<ReadonlySet<string>> {
  const sizes = new Map<string, number>();
  for (const type of ARCHIVE_TYPES) {
    for (const { key, size } of await context.store.list(type)) sizes.set(key, size);
  }
  const missing = context.catalogue
    .list()
    .filter(({ type, filename, size }) => sizes.get(`${type}/${filename}`) !== size);
  return new Set(missing.map(({ filename }) => filename));
}
