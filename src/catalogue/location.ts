import { access, constants, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupError } from '../domain/errors.ts';
import type { ArchiveType } from '../domain/manifest.ts';
import { TEMPORARY_NAME } from '../lib/atomic-file.ts';
import { acquireKernelLock, type KernelLock } from '../lib/kernel-lock.ts';
import { isMountPoint, type Space, spaceAt } from '../lib/mounts.ts';
import { makeDirectory, type Owner, ownerOf } from '../lib/ownership.ts';

/** How long a command waits for a lock that another process holds. */
export const LOCK_WAIT_MS = 30_000;
/** How long the lock of a process that was just killed may take to be free: its helper has to notice. */
export const LOCK_SETTLE_MS = 1_000;

/**
 * `daemon` for its lifetime, `job.<job>` for a run of the job, `run.<source>` while capturing, `catalogue` for
 * the moment of a change.
 */
export type LockName = 'daemon' | 'catalogue' | `job.${string}` | `run.${string}`;

/** The directory that holds everything, and where things lie in it. */
export class Location {
  readonly root: string;
  readonly owner: Owner;
  readonly #requireMount: boolean;

  private constructor(root: string, owner: Owner, requireMount: boolean) {
    this.root = root;
    this.owner = owner;
    this.#requireMount = requireMount;
  }

  /**
   * Makes the location ready: its directories exist and are writable. Throws LOCATION_UNUSABLE when it is
   * not writable, or is no mount point although `requireMount` asks for one. Only with `create` may it be
   * missing: a command that looks at backups must not answer from an empty directory it has just made.
   */
  static async open(root: string, options: { requireMount: boolean; create: boolean }): Promise<Location> {
    try {
      // Looked at before anything is created: an unmounted disk must not be written beneath.
      if (options.requireMount && !(await isMountPoint(root).catch(() => false))) throw notMounted(root);
      if (options.create) await mkdir(root, { recursive: true, mode: 0o700 });
      const location = new Location(root, await ownerOf(root), options.requireMount);
      for (const directory of ['database', 'files', 'manifests', '.locks']) {
        await makeDirectory(join(root, directory), location.owner);
      }
      await location.#assertWritable();
      return location;
    } catch (error) {
      throw unusable(root, error);
    }
  }

  get manifests(): string {
    return join(this.root, 'manifests');
  }

  get index(): string {
    return join(this.root, 'backups_metadata.json');
  }

  get journal(): string {
    return join(this.root, 'journal.jsonl');
  }

  archivePath(type: ArchiveType, filename: string): string {
    return join(this.root, type, filename);
  }

  manifestPath(filename: string): string {
    return join(this.manifests, `${filename}.json`);
  }

  /** Throws LOCK_BUSY after the wait. */
  lock(name: LockName, signal: AbortSignal, wait_ms = LOCK_WAIT_MS): Promise<KernelLock> {
    return acquireKernelLock({ path: this.lockPath(name), wait_ms, owner: this.owner, signal });
  }

  lockPath(name: LockName): string {
    return join(this.root, '.locks', name);
  }

  space(): Promise<Space> {
    return spaceAt(this.root);
  }

  /** Throws LOCATION_UNUSABLE when it was unmounted, removed or made read-only since it was opened. */
  async assertUsable(): Promise<void> {
    if (this.#requireMount && !(await isMountPoint(this.root).catch(() => false)))
      throw notMounted(this.root);
    try {
      await this.#assertWritable();
    } catch (error) {
      throw unusable(this.root, error);
    }
  }

  async #assertWritable(): Promise<void> {
    for (const directory of ['', 'database', 'files', 'manifests', '.locks']) {
      await access(join(this.root, directory), constants.R_OK | constants.W_OK | constants.X_OK);
    }
  }

  /** Removes what a crash left of atomic writes. Under the catalogue lock only. */
  async sweepTemporaries(): Promise<void> {
    for (const directory of [this.root, this.manifests]) {
      for (const name of await readdir(directory)) {
        if (TEMPORARY_NAME.test(name)) await rm(join(directory, name), { force: true });
      }
    }
  }
}

function unusable(root: string, error: unknown): BackupError {
  if (error instanceof BackupError) return error;
  return new BackupError(
    'LOCATION_UNUSABLE',
    `the location ${root} cannot be used: ${(error as Error).message}`,
    {
      path: root,
      hint: 'Create it, or mount it, and give the user that runs cofre write access to it.',
      cause: error,
    },
  );
}

function notMounted(root: string): BackupError {
  return new BackupError('LOCATION_UNUSABLE', `nothing is mounted at the location ${root}`, {
    path: root,
    hint: 'Mount the disk, or set `requireMount` to false if the location is meant to be a plain directory.',
  });
}
