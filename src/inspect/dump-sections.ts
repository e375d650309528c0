import { createHash, hash, type Hash } from 'node:crypto';
import type { DumpSection } from '../domain/dump-survey.ts';
import { LaneSum } from './lane-sum.ts';

interface Sums {
  exact: LaneSum;
  loose: LaneSum;
}

interface OpenSection {
  key: string;
  exact: Hash;
  loose: Hash;
  /** A section of nothing but comments and what is about roles does not exist. */
  isEmpty: boolean;
  /** Whether all that it holds was hashed alike for both: then `loose` is left alone. */
  isExactOnly: boolean;
}

/**
 * Digests the sections of a dump while they pass by. Those with the same key are summed up, so that neither
 * their order nor, for statements, how they are grouped matters, and a million of them take no more room than one.
 */
export class SectionDigests {
  readonly #sums = new Map<string, Sums>();
  #open: OpenSection;

  constructor(key: string) {
    this.#open = opened(key, false);
  }

  /** Ends the section under way. @param isExactOnly when nothing in it can be written in two ways. */
  begin(key: string, isExactOnly: boolean): void {
    this.#close();
    this.#open = opened(key, isExactOnly);
  }

  /** A piece of the section under way, and how it is compared loosely. */
  add(text: Buffer, loose: Buffer | (() => string) = text): void {
    const open = this.#open;
    open.isEmpty = false;
    open.exact.update(text);
    if (open.isExactOnly) return;
    if (typeof loose === 'function') open.loose.update(loose(), 'latin1');
    else open.loose.update(loose);
  }

  /** A statement that is a section for itself. @param loose how it is compared loosely, where that differs. */
  addAside(key: string, text: Buffer, loose?: string): void {
    const exact = hash('sha256', text, 'buffer');
    this.#sum(key, exact, loose === undefined ? exact : hash('sha256', loose, 'buffer'));
  }

  /** In the order in which each was met first. */
  end(): Map<string, DumpSection> {
    this.#close();
    return new Map(
      [...this.#sums].map(([key, { exact, loose }]) => [key, { exact: exact.hex(), loose: loose.hex() }]),
    );
  }

  #close(): void {
    const { key, exact, loose, isEmpty, isExactOnly } = this.#open;
    if (isEmpty) return;
    const digest = exact.digest();
    this.#sum(key, digest, isExactOnly ? digest : loose.digest());
  }

  #sum(key: string, exact: Buffer, loose: Buffer): void {
    let sums = this.#sums.get(key);
    if (sums === undefined) {
      sums = { exact: new LaneSum(), loose: new LaneSum() };
      this.#sums.set(key, sums);
    }
    sums.exact.add(exact);
    sums.loose.add(loose);
  }
}

function opened(key: string, isExactOnly: boolean): OpenSection {
  return { key, exact: createHash('sha256'), loose: createHash('sha256'), isEmpty: true, isExactOnly };
}
