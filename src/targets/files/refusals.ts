import { BackupError } from '../../domain/errors.ts';
import type { FileRemark } from '../../domain/manifest.ts';
import { displayPath, type RawPath } from './raw-path.ts';

/** How many are kept by name; the rest is counted. */
const MAX_NAMED = 1_000;
/** How many an error names. */
const MAX_IN_MESSAGE = 3;

/** What is refused of an archive, in constant memory. */
export class Refusals {
  readonly #named: FileRemark[] = [];
  #count = 0;
  #outside = 0;

  get count(): number {
    return this.#count;
  }

  /** @param outside whether it is refused only because it leads out of the target. */
  add(path: RawPath, reason: string, outside = false): void {
    this.#count += 1;
    if (outside) this.#outside += 1;
    if (this.#named.length < MAX_NAMED) this.#named.push({ path: displayPath(path), reason });
  }

  /** At most 1,000 and then one that counts the rest. */
  remarks(): FileRemark[] {
    const beyond = this.#count - this.#named.length;
    return beyond === 0 ? [...this.#named] : [...this.#named, { path: '...', reason: `and ${beyond} more` }];
  }

  error(): BackupError {
    const first = this.#named.slice(0, MAX_IN_MESSAGE).map(({ path, reason }) => `${path} (${reason})`);
    const beyond = this.#count - first.length;
    const what = this.#count === 1 ? '1 entry' : `${this.#count} entries`;
    return new BackupError(
      'ARCHIVE_UNSAFE',
      `the archive has ${what} that must not be restored: ${first.join(', ')}${beyond > 0 ? `, and ${beyond} more` : ''}`,
      { hint: this.#hint() },
    );
  }

  #hint(): string {
    const links =
      'Links that lead out of the target are made as they are with --outside-links; they are never followed.';
    const rest = 'Choose what to restore with --path, or look into the archive with `tar -tvf`.';
    if (this.#outside === 0) return rest;
    return this.#outside === this.#count ? links : `${links} ${rest}`;
  }
}
