import { join } from 'node:path';
import { describeEntries } from '../domain/describe-contents.ts';
import { BackupError } from '../domain/errors.ts';
import { type FilesContents, isFilesContents, type Manifest } from '../domain/manifest.ts';
import { rawBytes, storedBytes, summed } from './archive-bytes.ts';
import type { EngineContext } from './context.ts';
import { type DrillFinding, type DrillProgress, notAsRecorded } from './drill-finding.ts';
import { verifyBytes } from './verify.ts';

/** Links are made as they are: nothing follows them in a directory that is thrown away. */
const EVERYTHING = { paths: [], overwrite: false, outsideLinks: true, owners: false };

/**
 * Proves an archive of files: it is read and held against its manifest, extracted into a directory that is thrown
 * away, and the digest of the tree is computed from the disk again.
 */
export async function drillFiles(
  context: EngineContext,
  manifest: Manifest,
  signal: AbortSignal,
  onProgress: (progress: DrillProgress) => void,
): Promise<DrillFinding> {
  const { contents, directories = [], raw_size, size } = manifest;
  if (!isFilesContents(contents)) throw new BackupError('INTERNAL', 'the archive holds no files');
  const versions = { cofre: context.restoring.version };
  const startedAt = context.clock.now();
  const progress = (step: DrillProgress['step'], total_bytes: number) => (bytes: number) =>
    onProgress({ step, bytes, total_bytes });

  const stored = summed(storedBytes(context, manifest, signal), progress('verify', size));
  const verdict = await verifyBytes(context, stored, manifest, 'contents', signal);
  if (!verdict.ok) {
    return { verdict: 'failed', detail: notAsRecorded(verdict.detail), versions };
  }
  onProgress({ step: 'prepare', bytes: 0 });
  await using scratch = await context.restoring.makeScratchDirectory(signal);
  const target = context.restoring.openDirectory(join(scratch.path, 'tree'));
  let found: Parameters<typeof judge>[1] = { digest: '', entries: 0, bytes: 0 };
  let recovery_ms = 0;
  const raw = rawBytes(context, manifest, signal, progress('restore', raw_size));
  const check = async (directory: string) => {
    recovery_ms = Math.max(0, context.clock.now().getTime() - startedAt.getTime());
    onProgress({ step: 'compare', bytes: 0 });
    found = await context.restoring.readTree(directory, directories, signal);
  };
  await extractOrExplain(target.extract(raw, EVERYTHING, check, signal));
  return { ...judge(contents, found), versions, recovery_ms };
}

/** What is refused even here, with links made as they are, are devices, which take root; or the work of a forger. */
async function extractOrExplain(extraction: Promise<unknown>): Promise<void> {
  try {
    await extraction;
  } catch (error) {
    if (!(error instanceof BackupError) || error.code !== 'ARCHIVE_UNSAFE') throw error;
    throw new BackupError('NOT_PROVABLE', error.message, {
      hint: 'Devices are restored by `tar` as root. Anything else of this kind was not written by cofre: find out who changed the archive.',
      cause: error,
    });
  }
}

function judge(
  recorded: FilesContents,
  found: Pick<FilesContents, 'digest' | 'entries' | 'bytes'>,
): Omit<DrillFinding, 'versions'> {
  const figures = describeEntries(recorded);
  if (found.digest === recorded.digest && found.entries === recorded.entries) {
    return { verdict: 'proven', detail: `${figures}, equal on disk after extraction` };
  }
  const detail = `the extracted tree differs: ${describeEntries(found)}, ${figures} were recorded`;
  return { verdict: 'failed', detail };
}
