import { describeSome } from './plural.ts';

/** As many as `describeSome` names, and some more for those who want a list. */
const NAMES_KEPT = 100;

/** Counts any number of names, in constant memory: the first are kept. */
export class SomeNames {
  readonly #names: string[] = [];
  #total = 0;

  get names(): string[] {
    return [...this.#names];
  }

  get total(): number {
    return this.#total;
  }

  add(name: string): void {
    this.#total += 1;
    if (this.#names.length < NAMES_KEPT) this.#names.push(name);
  }

  /** For people: `a; b; and 3 more`. */
  describe(): string {
    return describeSome(this.#names, this.#total);
  }
}
