import {
  type ArchiveDifference,
  type DatabaseDifference,
  diffDatabases,
  diffDefinitions,
  type FilesDifference,
} from '../domain/diff.ts';
import type { DumpSurvey } from '../domain/dump-survey.ts';
import { BackupError, isStop, toBackupError } from '../domain/errors.ts';
import { type DatabaseContents, isFilesContents, type Manifest } from '../domain/manifest.ts';
import { TreeDiff } from '../domain/tree-diff.ts';
import type { TreeEntry } from '../domain/tree-listing.ts';
import { Meter } from '../lib/digest.ts';
import { displayBytes } from '../lib/display-bytes.ts';
import { counted, type ReadProgress, storedBytes } from './archive-bytes.ts';
import type { EngineContext } from './context.ts';
import { surveyDump } from './survey-archive.ts';

/**
 * What tells two archives of one type apart. The tables of dumps are compared by what their manifests record. Of all
 * else in a dump, and of files, a manifest has one digest only: where the two differ, or a check found that one of
 * the archives is not what is recorded, both are read to their ends, and compared by what they hold. Throws ARCHIVE_UNKNOWN, USAGE when the types differ, and, of files, ARCHIVE_CORRUPT or
 * ARCHIVE_MISSING when an archive that has to be read is not what was stored.
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
    const [before, after] = [
      { ...a, contents: a.contents },
      { ...b, contents: b.contents },
    ];
    return { ...names, type: 'database', ...(await diffDumps(context, before, after, progress, signal)) };
  }
  const typed = [a, b].map(({ filename, type }) => `${filename} is of type ${type}`);
  throw new BackupError('USAGE', `there is nothing to compare: ${typed.join(', ')}`, {
    hint: 'Name two archives of one type; `cofre list` shows all.',
  });
}

async function diffDumps(
  context: EngineContext,
  a: Manifest & { contents: DatabaseContents },
  b: Manifest & { contents: DatabaseContents },
  progress: ReadProgress,
  signal: AbortSignal,
): Promise<DatabaseDifference> {
  const recorded = diffDatabases(a.contents, b.contents);
  if (!recorded.schema_changed && !isDoubted(a) && !isDoubted(b)) {
    return { ...recorded, definitions: { added: [], gone: [], changed: [] } };
  }
  try {
    const before = await surveyStored(context, a, progress, signal);
    const after = await surveyStored(context, b, progress, signal);
    const definitions = diffDefinitions(before.sections, after.sections);
    return { ...diffDatabases(before.contents, after.contents), definitions };
  } catch (error) {
    signal.throwIfAborted();
    const fault = toBackupError(error);
    if (isStop(fault.code)) throw fault;
    // What the manifests say is not lost with it.
    return { ...recorded, identical: false, definitions: null, remark: fault.message };
  }
}

/** Whether a check has found that the archive does not hold what its manifest says. */
function isDoubted({ verification, proof }: Manifest): boolean {
  return !verification.ok || proof?.verdict === 'failed';
}

/** Throws ARCHIVE_CORRUPT when the archive is not what was stored, or what reading it throws. */
async function surveyStored(
  context: EngineContext,
  manifest: Manifest,
  progress: ReadProgress,
  signal: AbortSignal,
): Promise<DumpSurvey> {
  const { filename, hash, size, compression } = manifest;
  progress.begin(filename, size);
  const meter = new Meter();
  const stored = counted(storedBytes(context, { filename }, signal), (bytes) => progress.advance(bytes));
  const raw = context.openCodec(compression).decode(meter.tap(stored));
  const survey = await surveyDump(context, raw, manifest, () => false, signal);
  if (meter.bytes !== size || meter.sha256() !== hash) throw corrupt(filename, NOT_AS_STORED);
  return survey;
}

async function diffFiles(
  context: EngineContext,
  a: Manifest,
  b: Manifest,
  progress: ReadProgress,
  signal: AbortSignal,
): Promise<FilesDifference> {
  const differ = new TreeDiff(displayBytes);
  if (digestOf(a) === digestOf(b) && !isDoubted(a) && !isDoubted(b)) return differ.result();
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
    throw corrupt(filename, NOT_AS_STORED);
  }
}

const NOT_AS_STORED = 'its stored bytes are not those that were written';
const DAMAGED = new Set(['ARCHIVE_CORRUPT', 'DUMP_TRUNCATED', 'DUMP_EMPTY']);

function corrupt(filename: string, why: string, cause?: BackupError): BackupError {
  return new BackupError('ARCHIVE_CORRUPT', `${filename} cannot be compared: ${why}`, {
    path: filename,
    hint: 'Do not rely on this archive: `cofre verify` records the fault. Compare with another one.',
    cause,
  });
}
