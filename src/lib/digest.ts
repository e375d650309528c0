import { createHash } from 'node:crypto';
import type { ByteStream } from '../domain/ports.ts';

/** Counts and hashes the bytes that pass by. */
export class Meter {
  readonly #hash = createHash('sha256');
  #bytes = 0;

  /** Bytes seen so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The same bytes, seen by this meter. */
  async *tap(stream: ByteStream): AsyncGenerator<Buffer, void, undefined> {
    for await (const chunk of stream) {
      this.#bytes += chunk.length;
      this.#hash.update(chunk);
      yield chunk;
    }
  }

  /** SHA-256 of everything seen, hex. Ends the meter. */
  sha256(): string {
    return this.#hash.digest('hex');
  }
}
