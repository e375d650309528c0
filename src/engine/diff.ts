import { type ArchiveDifference, diffDatabases, type FilesDifference } from '../domain/diff.ts';
import { BackupError } from '../domain/errors.ts';
import { isFilesContents, type Manifest } from '../domain/manifest.ts';
import { TreeDiff } from '../domain/tree-diff.ts';
import type { TreeEntry } from '../domain/tree-listing.ts';
import { Meter } from '../lib/digest.ts';
import { displayBytes } from '../lib/display-bytes.ts';
import { counted, type ReadProgress, storedBytes } from './archive-bytes.ts';
import type { EngineContext } from './context.ts';

/**
 * What tells two archives of one type apart. Dumps are compared by what their manifests record. Of files a
 * manifest has one digest only: where the two differ, both archives are read to their ends. Throws
 * ARCHIVE_UNKNOWN, USAGE when the types differ, and ARCHIVE_CORRUPT or ARCHIVE_MISSING when an archive that has
 * to be read is not what was stored.
 */
export async function diffArchives(
  context: EngineContext,
  filenames: { a: string; b: string },
  progress: ReadProgress,
  signal: AbortSignal,
): Promise<ArchiveDifference> {
  const a = await context.catalogue.read(filenames.a);
  const b = await context.catalogue.read(filenames.b);
  const names = { a: a.filename, b: b.filename };
  if (isFilesContents(a.contents) && isFilesContents(b.contents)) {
    return { ...names, type: 'files', ...(await diffFiles(context, a, b, progress, signal)) };
  }
  if (!isFilesContents(a.contents) && !isFilesContents(b.contents)) {
    return { ...names, type: 'database', ...diffDatabases(a.contents, b.contents) };
  }
  const typed = [a, b].map(({ filename, type }) => `${filename} is of type ${type}`);
  throw new BackupError('USAGE', `there is nothing to compare: ${typed.join(', ')}`, {
    hint: 'Name two archives of one type; `cofre list` shows all.',
  });
}

async function diffFiles(
  context: EngineContext,
  a: Manifest,
  b: Manifest,
  progress: ReadProgress,
  signal: AbortSignal,
): Promise<FilesDifference> {
  const differ = new TreeDiff(displayBytes);
  if (digestOf(a) === digestOf(b)) return differ.result();
  await listEntries(context, a, (entry) => differ.before(entry), progress, signal);
  await listEntries(context, b, (entry) => differ.after(entry), progress, signal);
  return differ.result();
}

function digestOf({ contents }: Manifest): string {
  return isFilesContents(contents) ? contents.digest : '';
}

/** Throws ARCHIVE_CORRUPT, after the entries were told, when they are not those that were written. */
async function listEntries(
  context: EngineContext,
  { filename, hash, size, compression }: Manifest,
  onEntry: (entry: TreeEntry) => void,
  progress: ReadProgress,
  signal: AbortSignal,
): Promise<void> {
  progress.begin(filename, size);
  const meter = new Meter();
  const stored = counted(storedBytes(context, { filename }, signal), (bytes) => progress.advance(bytes));
  try {
    const lister = context.openLister(onEntry, { digests: true });
    for await (const chunk of context.openCodec(compression).decode(meter.tap(stored))) lister.write(chunk);
    lister.end();
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof BackupError) || !DAMAGED.has(error.code)) throw error;
    throw corrupt(filename, error.message, error);
  }
  if (meter.bytes !== size || meter.sha256() !== hash) {
    throw corrupt(filename, 'its stored bytes are not those that were written');
  }
}

const DAMAGED = new Set(['ARCHIVE_CORRUPT', 'DUMP_TRUNCATED', 'DUMP_EMPTY']);

function corrupt(filename: string, why: string, cause?: BackupError): BackupError {
  return new BackupError('ARCHIVE_CORRUPT', `${filename} cannot be compared: ${why}`, {
    path: filename,
    hint: 'Do not rely on this archive: `cofre verify` records the fault. Compare with another one.',
    cause,
  });
}
