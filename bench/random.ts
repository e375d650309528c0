import { type Cipheriv, createCipheriv } from 'node:crypto';

const ZEROS = Buffer.alloc(1 << 20);

/** Numbers and bytes that are the same on every machine for the same seed: mulberry32, and AES-128 in counter mode. */
export class Random {
  readonly #cipher: Cipheriv;
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
    const key = Buffer.alloc(16);
    key.writeUInt32LE(this.#state);
    this.#cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  }

  /** From 0 up to 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from 0 to below the limit. */
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** Bytes that no compressor makes smaller. */
  fill(buffer: Buffer): void {
    for (let at = 0; at < buffer.length; at += ZEROS.length) {
      this.#cipher.update(ZEROS.subarray(0, Math.min(ZEROS.length, buffer.length - at))).copy(buffer, at);
    }
  }
}
