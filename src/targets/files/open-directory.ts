import { closeSync, constants, openSync } from 'node:fs';
import type { RawPath, SystemPath } from './raw-path.ts';
import { systemPath } from './raw-path.ts';

/**
 * A directory held open, and reached through /proc/self/fd: whoever owns a directory above may rename it or put
 * a link in its place, and root would otherwise write where that leads. Linux only.
 */
export class OpenDirectory implements Disposable {
  readonly fd: number;
  /** What stands for its path in this process. */
  readonly base: RawPath;

  /** Throws what open(2) does: ENOTDIR or ELOOP for a symbolic link, unless it is to be followed. */
  constructor(path: SystemPath, follow: 'follow' | 'nofollow') {
    const flags = constants.O_RDONLY | constants.O_DIRECTORY;
    this.fd = openSync(path, follow === 'follow' ? flags : flags | constants.O_NOFOLLOW);
    this.base = `/proc/self/fd/${this.fd}`;
  }

  /** The path of an entry, in this process. */
  at(name: RawPath): SystemPath {
    return systemPath(`${this.base}/${name}`);
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}
