import { lstatSync, renameSync } from 'node:fs';
import { resolve } from 'node:path';
import { BackupError } from '../../domain/errors.ts';
import type { ByteStream } from '../../domain/ports.ts';
import type {
  ExtractOptions,
  FilesTarget,
  FilesTargetState,
  TreeExaminer,
  TreePlan,
} from '../../domain/restore-ports.ts';
import { refuseOccupiedDirectory } from '../../domain/target-refusals.ts';
import { NEVER } from '../../lib/abort.ts';
import { spaceAt } from '../../lib/mounts.ts';
import { type Extracted, extractTree } from './extract-tree.ts';
import { checkMerge } from './merge-check.ts';
import { TreeMerge } from './merge-tree.ts';
import { OpenDirectory } from './open-directory.ts';
import { Pace } from './pace.ts';
import { ProtectedDirectories } from './protected-directories.ts';
import { rawPath } from './raw-path.ts';
import { ReplacementSurvey } from './replacement-survey.ts';
import { restoreFailure } from './restore-failure.ts';
import { Staging } from './staging.ts';
import { findPlace, leftoversBeside, occupantsOf, refused, type TargetPlace } from './target-place.ts';
import { ArchiveExaminer } from './tree-examiner.ts';

/** A directory that a files archive is restored into: an empty one, one to merge into, or one to be made. */
export class DirectoryTarget implements FilesTarget {
  readonly path: string;
  readonly #protectedPaths: readonly string[];

  /**
   * @param path may be a symbolic link to a directory; what lies below is never followed.
   * @param protectedPaths directories that nothing is restored into.
   */
  constructor(path: string, protectedPaths: readonly string[] = []) {
    this.path = resolve(path);
    this.#protectedPaths = protectedPaths;
  }

  /** Throws TARGET_REFUSED when there can be no directory, this user may not write there, or nobody shall. */
  async look(): Promise<FilesTargetState> {
    const place = findPlace(this.path);
    new ProtectedDirectories(this.#protectedPaths).refuseInside(place.holder, place.path);
    const { path, exists } = place;
    const { free_bytes } = await spaceAt(place.holder);
    return {
      path,
      exists,
      occupants: await occupantsOf(place),
      leftovers: leftoversBeside(place),
      free_bytes,
    };
  }

  examine(options: ExtractOptions): TreeExaminer {
    return new ArchiveExaminer(
      options,
      options.overwrite ? new ReplacementSurvey(rawPath(this.path)) : undefined,
    );
  }

  /**
   * Extracts into a hidden directory, `.cofre-restore-<random>`, beside the target or inside of it, has it checked
   * and moves it into place. Before the moving begins, whatever stops it leaves the target as it was: throws
   * ARCHIVE_UNSAFE, TARGET_REFUSED, USAGE for a glob that matches nothing, the code of the abort, and
   * RESTORE_FAILED for anything else. Once it has begun, `signal` is not looked at any more, and an error is
   * RESTORE_FAILED with a message where everything is.
   */
  async extract(
    raw: ByteStream,
    options: ExtractOptions,
    check: (directory: string) => Promise<void>,
    signal: AbortSignal,
  ): Promise<TreePlan> {
    signal.throwIfAborted();
    const place = findPlace(this.path);
    const isProtected = new ProtectedDirectories(this.#protectedPaths);
    isProtected.refuseInside(place.holder, place.path);
    refuseOccupiedDirectory({ path: place.path, occupants: await occupantsOf(place) }, options);
    const untouched = place.exists ? `${place.path} is as it was before` : `${place.path} was not made`;
    const pace = new Pace();
    using holder = new OpenDirectory(place.holder, 'follow');
    using staging = makeStaging(holder, place, untouched, signal);
    const move = new Moving(place, holder, staging, options, isProtected);
    let extracted: Extracted;
    try {
      extracted = await extractTree(raw, staging.places, options, pace, signal);
      await check(staging.treePath);
      signal.throwIfAborted();
      if (!(await staging.flush())) throw new Error('the disk did not take everything that was written');
      await move.prepare(extracted, pace, signal);
      signal.throwIfAborted();
      move.run(extracted);
    } catch (error) {
      if (move.hasBegun) throw move.failure(error);
      const left = await undo(staging, pace);
      throw restoreFailure(error, place.path, `${untouched}${left}`, signal);
    }
    await finish(staging, pace);
    return extracted.plan;
  }
}

/** The moment in which a restored tree becomes the target. */
class Moving {
  readonly #place: TargetPlace;
  readonly #holder: OpenDirectory;
  readonly #staging: Staging;
  readonly #options: ExtractOptions;
  readonly #isProtected: ProtectedDirectories;
  #merge: TreeMerge | undefined;

  constructor(
    place: TargetPlace,
    holder: OpenDirectory,
    staging: Staging,
    options: ExtractOptions,
    isProtected: ProtectedDirectories,
  ) {
    this.#place = place;
    this.#holder = holder;
    this.#staging = staging;
    this.#options = options;
    this.#isProtected = isProtected;
  }

  /** Whether the target is no more as it was. */
  get hasBegun(): boolean {
    return (this.#merge?.moved ?? 0) > 0;
  }

  /** Looks for what would stop it. Throws TARGET_REFUSED. */
  async prepare({ bystanders }: Extracted, pace: Pace, signal: AbortSignal): Promise<void> {
    const { path, exists, name } = this.#place;
    if (exists) {
      const { overwrite } = this.#options;
      const options = { path, overwrite, bystanders, isProtected: this.#isProtected, pace, signal };
      await checkMerge(this.#staging.tree, this.#holder, options);
    } else if (lstatSync(this.#holder.at(rawPath(name)), { throwIfNoEntry: false }) !== undefined) {
      throw refused(path, `${path} has come into being`, 'Restore with --overwrite, or elsewhere.');
    }
  }

  run({ bystanders }: Extracted): void {
    if (!this.#place.exists) {
      renameSync(this.#staging.tree, this.#holder.at(rawPath(this.#place.name)));
      return;
    }
    const { owners } = this.#options;
    this.#merge = new TreeMerge({ bystanders, owners, replaced: this.#staging.replaced });
    this.#merge.run(this.#staging.tree, this.#holder);
  }

  failure(error: unknown): BackupError {
    const { path } = this.#place;
    const { moved } = this.#merge ?? { moved: 0 };
    const state = `${path} holds a mixture: entries changed so far: ${moved}; the rest of the archive is in ${this.#staging.path}/tree, what was replaced by then in ${this.#staging.path}/replaced`;
    const { message } = restoreFailure(error, path, state, NEVER);
    return new BackupError('RESTORE_FAILED', message, {
      path,
      hint: `Correct what the message names, restore again with --overwrite, then remove ${this.#staging.path}.`,
      cause: error,
    });
  }
}

function makeStaging(holder: OpenDirectory, place: TargetPlace, state: string, signal: AbortSignal): Staging {
  try {
    return new Staging(holder, place.holder);
  } catch (error) {
    throw restoreFailure(error, place.path, state, signal);
  }
}

/** What to say of leftovers: nothing when there are none. */
async function undo(staging: Staging, pace: Pace): Promise<string> {
  try {
    await staging.undo(pace);
    return '';
  } catch {
    return `; remove ${staging.path}, where it was extracted to`;
  }
}

/** The restore has succeeded by now: what cannot be flushed or removed does not change that. */
async function finish(staging: Staging, pace: Pace): Promise<void> {
  try {
    await staging.remove(pace);
  } catch {
    // It stays, under the name by which the next look tells what it is.
  }
  await staging.flush();
}
