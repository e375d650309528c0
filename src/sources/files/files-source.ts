import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { BackupError } from '../../domain/errors.ts';
import type { Capture, CaptureFacts, CaptureRemarks, Finding, Source } from '../../domain/ports.ts';
import { identitiesOf, identityOf } from './identity.ts';
import { assertMemberNames } from './member-names.ts';
import type { PackOptions } from './pack.ts';
import { notADirectory, type PackRoot, rootError } from './walk.ts';
import { packInWorker } from './worker-stream.ts';

export interface FilesSourceOptions {
  name: string;
  /** In the order of the archive. */
  directories: readonly { path: string; as?: string }[];
  /** Globs, see compileExclude. */
  exclude: readonly string[];
  /**
   * Absolute paths of directories that are in no archive: where cofre itself stores them. Met below a
   * directory, under whatever name, they are left out without a remark.
   */
  leaveOut: readonly string[];
}

/**
 * Directories as one tar stream: `<member name>/<relative path>`, depth first, names by their bytes. A
 * configured directory may be a symbolic link to one; links below are archived as links.
 */
export class FilesSource implements Source {
  readonly type = 'files';
  readonly format = 'tar';
  readonly name: string;
  readonly #roots: readonly PackRoot[];
  readonly #pack: PackOptions;

  /** Throws CONFIG_INVALID when a member name is unusable or stands twice. */
  constructor(options: FilesSourceOptions) {
    this.name = options.name;
    this.#roots = options.directories.map(({ path, as }) => ({
      path: resolve(path),
      as: as ?? basename(resolve(path)),
    }));
    const { exclude, leaveOut } = options;
    this.#pack = { roots: this.#roots, exclude, leaveOut };
    assertMemberNames(this.#roots);
  }

  async preflight(signal: AbortSignal): Promise<Finding[]> {
    const findings: Finding[] = [];
    for (const { path } of this.#roots) {
      signal.throwIfAborted();
      const error = await this.#rootFault(path);
      if (error !== undefined) {
        const { code, message, hint = '' } = error;
        findings.push({ severity: 'error', code, path, message, hint });
      }
    }
    return findings;
  }

  /**
   * Everything below the directories that a capture could not read and would note as incomplete, as errors,
   * at most 1,000 by name. What preflight says of the directories themselves is not repeated.
   */
  async survey(signal: AbortSignal): Promise<Finding[]> {
    const { findUnreadable } = await import('./find-unreadable.ts');
    return await findUnreadable(this.#pack, signal);
  }

  /**
   * Throws SOURCE_MISSING or UNREADABLE when a directory is not there, at once or with the stream, and
   * CONFIG_INVALID when it is one to be left out.
   */
  async capture(signal: AbortSignal): Promise<Capture> {
    for (const { path } of this.#roots) {
      signal.throwIfAborted();
      const error = await this.#rootFault(path);
      if (error !== undefined) throw error;
    }
    let remarks: CaptureRemarks = { changed: [], incomplete: [] };
    const facts: CaptureFacts = {
      directories: this.#roots.map(({ as }) => as),
      roots: this.#roots.map(({ as, path }) => ({ name: as, path })),
    };
    return {
      facts,
      stream: packInWorker({
        pack: this.#pack,
        signal,
        onRemarks: (collected) => {
          remarks = collected;
        },
      }),
      remarks: () => remarks,
    };
  }

  async #rootFault(path: string): Promise<BackupError | undefined> {
    try {
      const found = await stat(path, { bigint: true });
      if (!found.isDirectory()) return notADirectory(path);
      if (identitiesOf(this.#pack.leaveOut).has(identityOf(found))) return leftOut(path);
      await access(path, constants.R_OK | constants.X_OK);
      return undefined;
    } catch (error) {
      return rootError(path, error);
    }
  }
}

/** An archive of it would hold nothing, and pass for a backup. */
function leftOut(path: string): BackupError {
  return new BackupError('CONFIG_INVALID', `the directory ${path} is the location of the backups itself`, {
    path,
    hint: 'Back up another directory; cofre archives none of its own archives.',
  });
}
