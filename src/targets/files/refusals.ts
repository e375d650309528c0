import type { RefusedEntry, RefusedKind, TreePlan } from '../../domain/restore-ports.ts';
import { displayPath, type RawPath } from './raw-path.ts';

/** How many are kept by name; the rest is counted. */
const MAX_NAMED = 1_000;

/** What is refused of an archive, in constant memory. */
export class Refusals {
  readonly #named: RefusedEntry[] = [];
  #count = 0;
  #foreign = 0;

  get count(): number {
    return this.#count;
  }

  add(path: RawPath, reason: string, kind: RefusedKind): void {
    this.#count += 1;
    if (kind === 'foreign') this.#foreign += 1;
    if (this.#named.length < MAX_NAMED) this.#named.push({ path: displayPath(path), reason, kind });
  }

  summary(): Pick<TreePlan, 'refused' | 'refused_total' | 'foreign_total'> {
    return { refused: [...this.#named], refused_total: this.#count, foreign_total: this.#foreign };
  }
}
