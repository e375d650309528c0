import { BackupError } from '../domain/errors.ts';
import { isFilesContents, type Manifest } from '../domain/manifest.ts';
import { plural } from '../domain/plural.ts';
import { printable } from '../domain/printable.ts';
import { TreeComparison, type TreeDifferences } from '../domain/tree-comparison.ts';
import type { TreeEntry } from '../domain/tree-listing.ts';
import { displayBytes } from '../lib/display-bytes.ts';
import { rawBytes } from './archive-bytes.ts';
import type { EngineContext } from './context.ts';

export interface TreeMismatch {
  /** For people: `2 entries differ: tree/a (data); tree/b (missing)`. */
  detail: string;
  /** Whether nothing but modes and times differ, which not every file system keeps. */
  onlyAttributes: boolean;
}

/**
 * Holds a tree on disk against what the manifest of a verified archive records, by its digest. Where that is another
 * one, the archive and the tree are read once more and compared entry by entry: a manifest has one digest only.
 * Returns how the tree differs; undefined: not at all. Throws NOT_PROVABLE when the disk does not read
 * the same twice.
 */
export async function compareTree(
  context: EngineContext,
  manifest: Manifest,
  directory: string,
  signal: AbortSignal,
): Promise<TreeMismatch | undefined> {
  const { contents, directories = [] } = manifest;
  if (!isFilesContents(contents)) throw new BackupError('INTERNAL', 'the archive holds no files');
  const { readTree } = await context.openRestoreAdapters();
  const { digest, entries } = await readTree(directory, directories, signal);
  if (digest === contents.digest && entries === contents.entries) return undefined;

  const archive = entriesOf(context, manifest, signal);
  try {
    const comparison = new TreeComparison(archive, directories, shown);
    await readTree(directory, directories, signal, (entry) => comparison.found(entry));
    return describe(await comparison.end());
  } finally {
    await archive.return(undefined);
  }
}

/** The entries of the archive, with the digests of their data, in its order. */
async function* entriesOf(
  context: EngineContext,
  manifest: Manifest,
  signal: AbortSignal,
): AsyncGenerator<TreeEntry, undefined, undefined> {
  let listed: TreeEntry[] = [];
  const lister = context.openLister(
    // What the reader hands over lies in its own memory.
    (entry) => listed.push({ ...entry, path: Buffer.from(entry.path), data: Buffer.from(entry.data) }),
    { digests: true },
  );
  for await (const chunk of rawBytes(context, manifest, signal)) {
    lister.write(chunk);
    yield* listed;
    listed = [];
  }
  lister.end();
  yield* listed;
  return undefined;
}

function describe({ entries, onlyAttributes, disorder }: TreeDifferences): TreeMismatch {
  if (disorder !== undefined) {
    const detail = `the archive holds ${disorder}, an order in which no backup writes; its entries were not compared one by one`;
    return { detail, onlyAttributes: false };
  }
  if (entries.total === 0) {
    throw new BackupError(
      'NOT_PROVABLE',
      'the extracted tree had another digest than the recorded one, and no entry that differs when it was read once more',
      { hint: 'The disk does not read the same twice, or something changes it: look into the system log.' },
    );
  }
  const verb = entries.total === 1 ? 'differs' : 'differ';
  return { detail: `${plural(entries.total, 'entry')} ${verb}: ${entries.describe()}`, onlyAttributes };
}

function shown(bytes: Buffer): string {
  return printable(displayBytes(bytes));
}
