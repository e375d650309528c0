import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { BackupError } from '../../domain/errors.ts';
import type { Capture, CaptureFacts, CaptureRemarks, Finding, Source } from '../../domain/ports.ts';
import { findUnreadable } from './find-unreadable.ts';
import { notADirectory, type PackRoot, rootError } from './walk.ts';
import { packInWorker } from './worker-stream.ts';

export interface FilesSourceOptions {
  name: string;
  /** In the order of the archive. */
  directories: readonly { path: string; as?: string }[];
  /** Globs, see compileExclude. */
  exclude: readonly string[];
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
  readonly #exclude: readonly string[];

  /** Throws CONFIG_INVALID when a member name is unusable or stands twice. */
  constructor(options: FilesSourceOptions) {
    this.name = options.name;
    this.#roots = options.directories.map(({ path, as }) => ({
      path: resolve(path),
      as: as ?? basename(resolve(path)),
    }));
    this.#exclude = options.exclude;
    assertMemberNames(this.#roots);
  }

  async preflight(signal: AbortSignal): Promise<Finding[]> {
    const findings: Finding[] = [];
    for (const { path } of this.#roots) {
      signal.throwIfAborted();
      const error = await rootFault(path);
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
  survey(signal: AbortSignal): Promise<Finding[]> {
    return findUnreadable(this.#roots, this.#exclude, signal);
  }

  /** Throws SOURCE_MISSING or UNREADABLE when a directory is not there, at once or with the stream. */
  async capture(signal: AbortSignal): Promise<Capture> {
    for (const { path } of this.#roots) {
      signal.throwIfAborted();
      const error = await rootFault(path);
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
        pack: { roots: this.#roots, exclude: this.#exclude },
        signal,
        onRemarks: (collected) => {
          remarks = collected;
        },
      }),
      remarks: () => remarks,
    };
  }
}

async function rootFault(path: string): Promise<BackupError | undefined> {
  try {
    if (!(await stat(path)).isDirectory()) return notADirectory(path);
    await access(path, constants.R_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return rootError(path, error);
  }
}

function assertMemberNames(roots: readonly PackRoot[]): void {
  const seen = new Map<string, string>();
  for (const { path, as } of roots) {
    if (!isMemberName(as)) {
      throw new BackupError('CONFIG_INVALID', `the directory ${path} has no usable member name: "${as}"`, {
        path,
        hint: 'Give it a name of one path component: {"path": …, "as": "name"}.',
      });
    }
    const other = seen.get(as);
    if (other !== undefined) {
      throw new BackupError(
        'CONFIG_INVALID',
        `the directories ${other} and ${path} have one member name: "${as}"`,
        {
          path,
          hint: 'Give one of them another name: {"path": …, "as": "name"}.',
        },
      );
    }
    seen.set(as, path);
  }
}

/** One path component, as file systems allow it. */
function isMemberName(as: string): boolean {
  return as !== '' && as !== '.' && as !== '..' && !/[/\0]/.test(as) && Buffer.byteLength(as) <= 255;
}
