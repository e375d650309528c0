import { hash, randomBytes } from 'node:crypto';
import type { RawPath } from './raw-path.ts';

const WORDS = 4;
const FIRST_SLOTS = 4_096;

/**
 * Remembers a number for each path in 16 bytes, outside of the heap: an archive may hold many millions. Paths
 * are told apart by 96 bits of a salted SHA-256, so that nobody can make up two that count as one.
 *
 * An open-addressing table: three words of hash and the number, which is never 0 where a slot is taken.
 */
export class SeenPaths {
  readonly #salt = randomBytes(16).toString('hex');
  #slots = new Uint32Array(FIRST_SLOTS * WORDS);
  #taken = 0;

  get(path: RawPath): number | undefined {
    const value = this.#slots[this.#find(this.#key(path)) + 3];
    return value === 0 ? undefined : value;
  }

  /** @param value a whole number, 1 to 2^32 - 1. */
  set(path: RawPath, value: number): void {
    const key = this.#key(path);
    let at = this.#find(key);
    if (this.#slots[at + 3] === 0) {
      if ((this.#taken + 1) * WORDS > this.#slots.length * 0.6) {
        this.#grow();
        at = this.#find(key);
      }
      this.#taken += 1;
    }
    this.#put(at, key, value);
  }

  #key(path: RawPath): Uint32Array {
    const digest = hash('sha256', this.#salt + path, 'buffer');
    return Uint32Array.of(digest.readUInt32LE(0), digest.readUInt32LE(4), digest.readUInt32LE(8));
  }

  /** The slot of the key, or the free one where it belongs. */
  #find(key: Uint32Array): number {
    const slots = this.#slots;
    const mask = slots.length / WORDS - 1;
    for (let slot = (key[0] ?? 0) & mask; ; slot = (slot + 1) & mask) {
      const at = slot * WORDS;
      if (slots[at + 3] === 0) return at;
      if (slots[at] === key[0] && slots[at + 1] === key[1] && slots[at + 2] === key[2]) return at;
    }
  }

  #put(at: number, key: Uint32Array, value: number): void {
    this.#slots.set(key, at);
    this.#slots[at + 3] = value;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(old.length * 2);
    for (let at = 0; at < old.length; at += WORDS) {
      const value = old[at + 3];
      if (value === undefined || value === 0) continue;
      const key = old.subarray(at, at + 3);
      this.#put(this.#find(key), key, value);
    }
  }
}
