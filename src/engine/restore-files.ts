import { describeEntries } from '../domain/describe-contents.ts';
import { BackupError } from '../domain/errors.ts';
import { isFilesContents, type Manifest } from '../domain/manifest.ts';
import type { Inspectable } from '../domain/ports.ts';
import type { FilesTargetState, TreeExaminer, TreePlan } from '../domain/restore-ports.ts';
import { formatSize } from '../domain/size.ts';
import { refuseOccupiedDirectory, refuseUnsafe } from '../domain/target-refusals.ts';
import { rawBytes, storedBytes, summed } from './archive-bytes.ts';
import type { EngineContext } from './context.ts';
import { beforeTouching, notVerified } from './restore-refusals.ts';
import type { RestoreReport, RestoreRequest } from './restore-request.ts';
import { verifyBytes } from './verify.ts';

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
  const target = context.restoring.openDirectory(request.to);
  const { state, plan } = await beforeTouching(signal, async () => {
    const found = await target.look();
    refuseOccupiedDirectory(found, options);
    return { state: found, plan: await examine(context, manifest, request, target.examine(options), signal) };
  });
  refuseUnsafe(plan, filename);
  refuseSmall(state, plan);
  const figures = describeEntries(plan);
  const report = (steps: string[], rest: Partial<RestoreReport> = {}): RestoreReport => ({
    filename,
    target: state.path,
    dry_run: dryRun,
    steps,
    compared: false,
    differences: [],
    duration_ms: Math.max(0, context.clock.now().getTime() - startedAt.getTime()),
    ...rest,
  });
  const isWhole = options.paths.length === 0;
  const verified = `verified ${filename} (${formatSize(size)})`;
  if (dryRun) {
    const into = state.occupants.length > 0 ? 'merge them into' : 'move them to';
    return report([
      verified,
      `would extract ${figures}${isWhole ? '' : ', which were chosen'}, ${isWhole ? 'compare them with the manifest, ' : ''}and ${into} ${state.path}`,
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

/** Verifies the archive and looks at each of its entries in the same pass. Throws ARCHIVE_CORRUPT. */
async function examine(
  context: EngineContext,
  manifest: Manifest,
  { onProgress }: RestoreRequest,
  examiner: TreeExaminer,
  signal: AbortSignal,
): Promise<TreePlan> {
  const { filename, size } = manifest;
  const stored = summed(storedBytes(context, manifest, signal), (bytes) =>
    onProgress?.({ step: 'verify', bytes, total_bytes: size }),
  );
  const open = async (archive: Inspectable, stop: AbortSignal) => {
    const inspector = await context.openInspector(archive, stop);
    return {
      write: async (chunk: Buffer) => {
        await inspector.write(chunk);
        examiner.write(chunk);
      },
      end: () => inspector.end(),
      [Symbol.asyncDispose]: () => inspector[Symbol.asyncDispose](),
    };
  };
  const verdict = await verifyBytes(context, stored, manifest, 'contents', signal, open);
  if (verdict.ok) return examiner.end();
  throw notVerified(filename, verdict.detail);
}

function refuseSmall({ path, free_bytes }: FilesTargetState, { bytes }: TreePlan): void {
  if (free_bytes >= bytes) return;
  throw new BackupError(
    'SPACE_LOW',
    `${formatSize(free_bytes)} are free at ${path}, the files take ${formatSize(bytes)}`,
    { path, hint: 'Free space there, or restore to another disk.' },
  );
}

/** Throws RESTORE_FAILED when the tree on disk is not the one that was recorded. */
async function assertSameTree(
  context: EngineContext,
  { contents, directories = [], filename }: Manifest,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  if (!isFilesContents(contents)) return;
  const found = await context.restoring.readTree(directory, directories, signal);
  if (found.digest === contents.digest) return;
  throw new BackupError(
    'RESTORE_FAILED',
    `what was extracted of ${filename} is not what was recorded: ${describeEntries(found)}, ${describeEntries(contents)} were expected; nothing was moved into place`,
    {
      path: filename,
      hint: 'Does the file system of the target keep modes, times and links? Restore to another one.',
    },
  );
}
