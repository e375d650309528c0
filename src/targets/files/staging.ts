import { randomBytes } from 'node:crypto';
import { type BigIntStats, fstatSync, futimesSync, mkdirSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { NEVER } from '../../lib/abort.ts';
import { runChild } from '../../lib/child.ts';
import { OpenDirectory } from './open-directory.ts';
import type { Pace } from './pace.ts';
import type { RawPath } from './raw-path.ts';
import { removeTree } from './remove-tree.ts';
import { STAGING_PREFIX } from './target-place.ts';
import type { TreePlaces } from './tree-writer.ts';

/**
 * A hidden directory beside or inside of the target, on its file system, that nobody else may enter. In it:
 * `tree`, which becomes the target or whose entries do; `replaced`, what was in their way; files for the work.
 */
export class Staging implements Disposable {
  /** For people. */
  readonly path: string;
  readonly #name: string;
  readonly #holder: OpenDirectory;
  readonly #own: OpenDirectory;
  readonly #holderBefore: BigIntStats;

  /** @param holderPath names the holder for people. */
  constructor(holder: OpenDirectory, holderPath: string) {
    this.#name = `${STAGING_PREFIX}${randomBytes(6).toString('hex')}`;
    this.path = join(holderPath, this.#name);
    this.#holder = holder;
    this.#holderBefore = fstatSync(holder.fd, { bigint: true });
    mkdirSync(holder.at(this.#name), 0o700);
    // Not what somebody put in its place meanwhile.
    this.#own = new OpenDirectory(holder.at(this.#name), 'nofollow');
    // With the mode of any new directory: nobody reaches it before it is moved.
    mkdirSync(this.#own.at('tree'), 0o777);
  }

  get places(): TreePlaces {
    return {
      tree: this.tree,
      directoryRecords: `${this.#own.base}/directories`,
      lateRecords: `${this.#own.base}/late`,
      fifos: `${this.#own.base}/fifos`,
    };
  }

  get tree(): RawPath {
    return `${this.#own.base}/tree`;
  }

  /** The path of the tree for other code of this process. */
  get treePath(): string {
    return join(this.path, 'tree');
  }

  get replaced(): RawPath {
    return `${this.#own.base}/replaced`;
  }

  /** Removes it with what is in it. */
  async remove(pace: Pace): Promise<void> {
    for (const name of ['tree', 'replaced', 'fifos', 'directories', 'late']) {
      await removeTree(`${this.#own.base}/${name}`, pace);
    }
    rmdirSync(this.#holder.at(this.#name));
  }

  /** Removes it, and gives the directory that held it its times back. */
  async undo(pace: Pace): Promise<void> {
    await this.remove(pace);
    const { atimeNs, mtimeNs } = this.#holderBefore;
    try {
      futimesSync(this.#holder.fd, Number(atimeNs) / 1e9, Number(mtimeNs) / 1e9);
    } catch {
      // A directory of somebody else: only its owner sets times.
    }
  }

  /**
   * Writes what is in memory of its file system to the disk, where a program for it is there. False when the
   * disk did not take it, which some file systems tell only now.
   */
  async flush(): Promise<boolean> {
    try {
      const { code, stderr } = await runChild({
        command: 'sync',
        args: ['-f', '--', '.'],
        env: { PATH: process.env['PATH'], LC_ALL: 'C' },
        cwd: this.#holder.base,
        // What is about to be, or has been, moved into place is not to be cut short.
        signal: NEVER,
      });
      // Not every `sync` knows the option; that one says something else.
      return code === 0 || !/input\/output|no space|quota/i.test(stderr);
    } catch {
      return true;
    }
  }

  [Symbol.dispose](): void {
    this.#own[Symbol.dispose]();
  }
}
