import { join } from 'node:path';
import { describeEntries } from '../domain/describe-contents.ts';
import { BackupError } from '../domain/errors.ts';
import { isFilesContents, type Manifest } from '../domain/manifest.ts';
import { describeSome } from '../domain/plural.ts';
import { printable } from '../domain/printable.ts';
import type { TreePlan } from '../domain/restore-ports.ts';
import { rawBytes } from './archive-bytes.ts';
import { compareTree, type TreeMismatch } from './compare-tree.ts';
import type { EngineContext } from './context.ts';
import { type DrillFinding, type OnDrillProgress, notAsRecorded, tellingStep } from './drill-finding.ts';
import { elapsedSince } from './elapsed.ts';
import { examineTree } from './examine-tree.ts';

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
  onProgress: OnDrillProgress,
): Promise<DrillFinding> {
  const { contents, raw_size, size } = manifest;
  const { clock, version } = context;
  if (!isFilesContents(contents)) throw new BackupError('INTERNAL', 'the archive holds no files');
  const versions = { cofre: version };
  const startedAt = clock.now();

  const restoring = await context.openRestoreAdapters();
  const examiner = restoring.openExaminer(EVERYTHING);
  const examined = await examineTree(
    context,
    manifest,
    examiner,
    signal,
    tellingStep(onProgress, 'verify', size),
  );
  if (!examined.ok) return { verdict: 'failed', detail: notAsRecorded(examined.detail), versions };
  const forged = describeForeign(examined.plan);
  if (forged !== undefined) return { verdict: 'failed', detail: forged, versions };
  refuseDevices(examined.plan);

  onProgress({ step: 'prepare', bytes: 0 });
  await using scratch = await restoring.makeScratchDirectory(signal);
  const target = restoring.openDirectory(join(scratch.path, 'tree'));
  let mismatch: TreeMismatch | undefined = { detail: 'it was not compared', onlyAttributes: false };
  let recovery_ms = 0;
  const raw = rawBytes(context, manifest, signal, tellingStep(onProgress, 'restore', raw_size));
  const check = async (directory: string) => {
    recovery_ms = elapsedSince(clock, startedAt);
    onProgress({ step: 'compare', bytes: 0 });
    mismatch = await compareTree(context, manifest, directory, signal);
  };
  await target.extract(raw, EVERYTHING, check, signal);
  return { ...judge(describeEntries(contents), mismatch), versions, recovery_ms };
}

function judge(figures: string, mismatch: TreeMismatch | undefined): Omit<DrillFinding, 'versions'> {
  if (mismatch === undefined) {
    return { verdict: 'proven', detail: `${figures}, equal on disk after extraction` };
  }
  const { detail, onlyAttributes } = mismatch;
  const doubt = onlyAttributes ? '; does the file system of `scratch.directory` keep modes and times?' : '';
  return { verdict: 'failed', detail: `the extracted tree is not the recorded one: ${detail}${doubt}` };
}

/** Of an archive with entries that no backup writes, and no restore makes; undefined: it has none. */
function describeForeign({ refused, foreign_total }: TreePlan): string | undefined {
  if (foreign_total === 0) return undefined;
  const foreign = refused.filter(({ kind }) => kind === 'foreign');
  const named = describeSome(
    foreign.map(({ path, reason }) => printable(`${path}: ${reason}`)),
    foreign_total,
  );
  return `the archive was changed: it holds what no backup writes, and what is not restored: ${named}`;
}

/** Throws NOT_PROVABLE: what is still refused, with links made as they are, is devices, which say nothing of it. */
function refuseDevices({ refused, refused_total }: TreePlan): void {
  if (refused_total === 0) return;
  const named = describeSome(
    refused.map(({ path, reason }) => printable(`${path}: ${reason}`)),
    refused_total,
  );
  throw new BackupError('NOT_PROVABLE', `the archive holds what cofre does not make anywhere: ${named}`, {
    hint: 'Devices are restored by `tar` as root; `exclude` leaves them out of the next backup.',
  });
}
