import { existsSync, statSync } from 'node:fs';
import { access, constants, mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BackupError } from '../domain/errors.ts';
import type { ArchiveType } from '../domain/manifest.ts';
import { TEMPORARY_NAME } from '../lib/atomic-file.ts';
import type { KernelLock, KernelLockOptions } from '../lib/kernel-lock.ts';
import { isMountPoint, type Space, spaceAt } from '../lib/mounts.ts';
import { assertOwnDirectory, makeDirectory, type Owner, ownerOf } from '../lib/ownership.ts';

/** How long a command waits for a lock that another process holds. */
export const LOCK_WAIT_MS = 30_000;
/** How long the lock of a process that was just killed may take to be free: its helper has to notice. */
export const LOCK_SETTLE_MS = 1_000;

/**
 * `daemon` for its lifetime, `job.<job>` for a run of the job, `run.<source>` while capturing, `catalogue` for
 * the moment of a change, `notify` while telling what the journal says.
 */
export type LockName = 'daemon' | 'catalogue' | 'notify' | `job.${string}` | `run.${string}`;

/** Below the location. */
const DIRECTORIES = ['database', 'files', 'manifests', '.locks'] as const;

export interface LocationOptions {
  requireMount: boolean;
  /** Makes the location if it is missing. */
  create: boolean;
  /** False: only to be looked at. */
  write: boolean;
}

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

  /** The user id of its owner. */
  async ownerId(): Promise<number> {
    return (await stat(this.root)).uid;
  }

  /**
   * With `write`, makes the location ready: its directories exist and are writable. Without, only makes sure
   * that there are manifests to read, so that backups can be looked at on a medium that is read-only. Throws
   * LOCATION_UNUSABLE when it is not so, or it is no mount point although `requireMount` asks for one. Only
   * with `create` may it be missing: a command that looks at backups must not answer from an empty directory
   * it has just made.
   */
  static async open(root: string, options: LocationOptions): Promise<Location> {
    try {
      // Looked at before anything is created: an unmounted disk must not be written beneath.
      if (options.requireMount && !(await isMountPoint(root).catch(() => false))) throw notMounted(root);
      if (options.create) await mkdir(root, { recursive: true, mode: 0o700 });
      else if (!existsSync(root)) throw missing(root);
      const location = new Location(root, await ownerOf(root), options.requireMount);
      if (!options.write) {
        // A verification is recorded where it can be.
        for (const directory of DIRECTORIES) await assertOwnDirectory(join(root, directory), location.owner);
        await location.#assertReadable();
        return location;
      }
      for (const directory of DIRECTORIES) {
        await makeDirectory(join(root, directory), location.owner);
      }
      await location.#assertWritable();
      return location;
    } catch (error) {
      throw unusable(root, error, options.write ? 'write' : 'read');
    }
  }

  /** Itself and those in it, which may be links to other disks. */
  get directories(): string[] {
    return [this.root, ...DIRECTORIES.map((name) => join(this.root, name))];
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

  /** When something in it was last named or renamed. Throws LOCATION_UNUSABLE when it cannot be seen any more. */
  manifestsChanged_ms(): number {
    try {
      return statSync(this.manifests).mtimeMs;
    } catch (error) {
      throw unusable(this.root, error, 'read');
    }
  }

  /** What was told to whom. */
  get notifications(): string {
    return join(this.root, 'notifications.json');
  }

  archivePath(type: ArchiveType, filename: string): string {
    return join(this.root, type, filename);
  }

  manifestPath(filename: string): string {
    return join(this.manifests, `${filename}.json`);
  }

  /** Throws LOCK_BUSY after the wait. */
  async lock(name: LockName, signal: AbortSignal, wait_ms = LOCK_WAIT_MS): Promise<KernelLock> {
    await this.#makeLocks();
    return await acquire({ path: this.lockPath(name), wait_ms, owner: this.owner, signal });
  }

  /** Held together with whoever shares it too. Throws LOCK_BUSY after the wait. */
  async lockShared(name: LockName, signal: AbortSignal, wait_ms = LOCK_WAIT_MS): Promise<KernelLock> {
    await this.#makeLocks();
    return await acquire({ path: this.lockPath(name), wait_ms, owner: this.owner, signal, shared: true });
  }

  lockPath(name: LockName): string {
    return join(this.#locks, name);
  }

  get #locks(): string {
    return join(this.root, '.locks');
  }

  /** A copy of archives and manifests has no place for them, and drills are recorded there too. */
  async #makeLocks(): Promise<void> {
    // Without manifests it is a mount point that has lost its disk.
    if (existsSync(this.#locks) || !existsSync(this.manifests)) return;
    try {
      await makeDirectory(this.#locks, this.owner);
    } catch (error) {
      throw unusable(this.root, error, 'write');
    }
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
      throw unusable(this.root, error, 'write');
    }
  }

  async #assertWritable(): Promise<void> {
    for (const directory of ['', ...DIRECTORIES]) {
      await access(join(this.root, directory), constants.R_OK | constants.W_OK | constants.X_OK);
    }
  }

  async #assertReadable(): Promise<void> {
    await access(this.root, constants.R_OK | constants.X_OK);
    try {
      await access(this.manifests, constants.R_OK | constants.X_OK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw noBackups(this.root, error);
      throw error;
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

/** Who only looks takes no lock, and does not load what starts the process that holds one. */
async function acquire(options: KernelLockOptions): Promise<KernelLock> {
  const { acquireKernelLock } = await import('../lib/kernel-lock.ts');
  return await acquireKernelLock(options);
}

function unusable(root: string, error: unknown, wanted: 'read' | 'write'): BackupError {
  if (error instanceof BackupError) return error;
  return new BackupError(
    'LOCATION_UNUSABLE',
    `the location ${root} cannot be used: ${(error as Error).message}`,
    {
      path: root,
      hint:
        (error as NodeJS.ErrnoException).code === 'EROFS'
          ? 'Its file system is mounted read-only: look in the system log for why, and remount it; backups can be listed and verified there as it is.'
          : `Create it, or mount it, and give the user that runs cofre ${wanted} access to it.`,
      cause: error,
    },
  );
}

/** Rather than "there is no backup": it may be the wrong directory, or what an unmounted disk hides. */
function noBackups(root: string, cause: unknown): BackupError {
  return new BackupError('LOCATION_UNUSABLE', `the location ${root} has no directory of manifests`, {
    path: root,
    hint: 'Correct `location`, or mount the disk. Archives without manifests get them by `cofre catalogue rebuild`; if there was no backup yet, the first one makes it.',
    cause,
  });
}

function missing(root: string): BackupError {
  return new BackupError('LOCATION_UNUSABLE', `the location ${root} does not exist`, {
    path: root,
    hint: 'If there was no backup yet, the first one makes it; else mount the disk, or correct `location`.',
  });
}

function notMounted(root: string): BackupError {
  return new BackupError('LOCATION_UNUSABLE', `nothing is mounted at the location ${root}`, {
    path: root,
    hint: 'Mount the disk, or set `requireMount` to false if the location is meant to be a plain directory.',
  });
}
