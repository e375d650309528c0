import type { EngineContext } from './context.ts';

/** What is wrong with the stock of archives, without reading one. */
export interface InventoryFault {
  filename: string;
  kind: 'orphan' | 'manifest' | 'lost';
  detail: string;
}

/**
 * Compares what lies at the location with what the journal says was written there: archives without a
 * manifest, manifests that cannot be read, and archives of which neither is left.
 */
export async function takeInventory(context: EngineContext): Promise<InventoryFault[]> {
  await context.journal.refresh();
  const recorded = [...context.journal.histories.archives];
  const orphans = await context.catalogue.orphans();
  const unreadable = context.catalogue.faults();
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
    ...lost.map((filename) => ({
      filename,
      kind: 'lost' as const,
      detail:
        'the journal records it, but its archive and manifest are gone; `cofre delete` accepts the loss',
    })),
  ];
}
