import { describeEntries } from '../domain/describe-contents.ts';
import { BackupError } from '../domain/errors.ts';
import type { Manifest } from '../domain/manifest.ts';
import { describeSome, plural } from '../domain/plural.ts';
import type { FilesTargetState, TreePlan } from '../domain/restore-ports.ts';
import { formatSize } from '../domain/size.ts';
import { refuseKeptDirectories, refuseOccupiedDirectory, refuseUnsafe } from '../domain/target-refusals.ts';
import { rawBytes } from './archive-bytes.ts';
import { compareTree } from './compare-tree.ts';
import type { EngineContext } from './context.ts';
import { examineTree } from './examine-tree.ts';
import { elapsedSince } from './elapsed.ts';
import { beforeTouching, notVerified } from './restore-refusals.ts';
import type { RestoreReport, RestoreRequest } from './restore-request.ts';

/**
 * Restores an archive of files: extracted beside the target, held against the manifest there, and moved into place
 * last.
 */
export async function restoreFiles(
  context: EngineContext,
  manifest: Manifest,
  request: RestoreRequest,
  signal: AbortSignal,
): Promise<RestoreReport> {
  const { filename, size, raw_size } = manifest;
  const { files: options, dryRun, onProgress } = request;
  const startedAt = context.clock.now();
  const restoring = await context.openRestoreAdapters();
  const target = restoring.openDirectory(request.to, context.location.directories);
  const { state, plan } = await beforeTouching(signal, async () => {
    const found = await target.look();
    refuseOccupiedDirectory(found, options);
    const onBytes = (bytes: number) => onProgress?.({ step: 'verify', bytes, total_bytes: size });
    const examined = await examineTree(context, manifest, target.examine(options), signal, onBytes);
    if (!examined.ok) throw notVerified(filename, examined.detail);
    return { state: found, plan: examined.plan };
  });
  refuseUnsafe(plan, filename);
  refuseKeptDirectories(state.path, plan.replacing?.kept ?? [], plan.replacing?.kept_total);
  refuseSmall(state, plan);
  const figures = describeEntries(plan);
  const report = (steps: string[], rest: Partial<RestoreReport> = {}): RestoreReport => ({
    filename,
    target: state.path,
    dry_run: dryRun,
    steps,
    compared: false,
    differences: [],
    duration_ms: elapsedSince(context.clock, startedAt),
    ...rest,
  });
  const isWhole = options.paths.length === 0;
  const verified = `verified ${filename} (${formatSize(size)})`;
  if (dryRun) {
    const into = state.occupants.length > 0 ? 'merge them into' : 'move them to';
    return report([
      verified,
      `would extract ${figures}${isWhole ? '' : ', which were chosen'}, ${isWhole ? 'compare them with the manifest, ' : ''}and ${into} ${state.path}`,
      ...describeReplaced(plan, state.path),
    ]);
  }
  const raw = rawBytes(context, manifest, signal, (bytes) =>
    onProgress?.({ step: 'restore', bytes, total_bytes: raw_size }),
  );
  const check = async (directory: string) => {
    onProgress?.({ step: 'compare', bytes: 0 });
    if (isWhole) await assertSameTree(context, manifest, directory, signal);
  };
  const { entries, bytes } = await target.extract(raw, options, check, signal);
  const steps = [
    verified,
    `extracted ${figures}`,
    isWhole
      ? 'read them again from the disk: the tree is the one that was recorded'
      : 'did not read them again: the manifest records the tree as a whole, and this is what was chosen of it',
    `${state.occupants.length > 0 ? 'merged them into' : 'moved them to'} ${state.path}`,
    ...state.leftovers.map(
      (left) => `found ${left}, left by a restore that was interrupted: remove it, unless one is under way`,
    ),
  ];
  const differences =
    entries === plan.entries && bytes === plan.bytes
      ? []
      : [`${describeEntries({ entries, bytes })} were extracted, ${figures} were expected`];
  return report(steps, { restored: { entries, bytes }, compared: isWhole, differences });
}

function refuseSmall({ path, free_bytes }: FilesTargetState, { bytes }: TreePlan): void {
  if (free_bytes >= bytes) return;
  throw new BackupError(
    'SPACE_LOW',
    `${formatSize(free_bytes)} are free at ${path}, the files take ${formatSize(bytes)}`,
    { path, hint: 'Free space there, or restore to another disk.' },
  );
}

/** For a dry run: what of the target would make room for entries. */
function describeReplaced({ replacing }: TreePlan, path: string): string[] {
  if (replacing === undefined) return [];
  const { replaced, replaced_total } = replacing;
  if (replaced_total === 0) return [`would replace nothing that is in ${path}`];
  return [
    `would replace ${plural(replaced_total, 'entry')} of ${path}: ${describeSome(replaced, replaced_total)}`,
  ];
}

/** Throws RESTORE_FAILED when the tree on disk is not the one that was recorded. */
async function assertSameTree(
  context: EngineContext,
  manifest: Manifest,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const mismatch = await compareTree(context, manifest, directory, signal);
  if (mismatch === undefined) return;
  const { filename } = manifest;
  throw new BackupError(
    'RESTORE_FAILED',
    `what was extracted of ${filename} is not what was recorded: ${mismatch.detail}; nothing was moved into place`,
    {
      path: filename,
      hint: 'Does the file system of the target keep modes, times and links? Restore to another one.',
    },
  );
}
