import { type BigIntStats, realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { BackupError } from '../../domain/errors.ts';

/**
 * Directories that nothing is restored into, those of the backups. They are known by what they are, not by their
 * names: links and mounts may lead there from anywhere.
 */
export class ProtectedDirectories {
  readonly #byIdentity = new Map<string, string>();

  /** @param paths of which some may not exist. */
  constructor(paths: readonly string[]) {
    for (const path of paths) {
      const found = statSync(path, { bigint: true, throwIfNoEntry: false });
      if (found !== undefined) this.#byIdentity.set(identityOf(found), path);
    }
  }

  /**
   * Throws TARGET_REFUSED for a directory that is one of them or lies in one.
   * @param target for people.
   */
  refuseInside(directory: string, target: string): void {
    if (this.#byIdentity.size === 0) return;
    for (let at = realpathSync(directory); ; at = dirname(at)) {
      this.refuseItself(statSync(at, { bigint: true }), target, `${target} lies in`);
      if (at === dirname(at)) return;
    }
  }

  /** Throws TARGET_REFUSED for one of them. */
  refuseItself(found: BigIntStats, target: string, what: string): void {
    const path = this.#byIdentity.get(identityOf(found));
    if (path === undefined) return;
    throw new BackupError('TARGET_REFUSED', `${what} ${path}, where the backups are`, {
      path: target,
      hint: 'Restore to a directory elsewhere: what is restored there could take the place of an archive or a manifest.',
    });
  }
}

function identityOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}
