import { createHash, timingSafeEqual } from 'node:crypto';
import type { Scope } from '../domain/scopes.ts';

export interface Token {
  name: string;
  /** A secret. */
  token: string;
  scopes: readonly Scope[];
}

/** Whoever presented a token. */
export interface Caller {
  name: string;
  scopes: readonly Scope[];
}

/** The tokens, of which only digests are kept. */
export class Tokens {
  #known: readonly { caller: Caller; digest: Buffer }[] = [];

  constructor(tokens: readonly Token[]) {
    this.replace(tokens);
  }

  get size(): number {
    return this.#known.length;
  }

  /** Takes other tokens over; the old ones are good for nothing from here on. Returns whether any is another. */
  replace(tokens: readonly Token[]): boolean {
    const before = JSON.stringify(this.#known);
    this.#known = tokens.map(({ name, token, scopes }) => ({
      caller: { name, scopes },
      digest: digestOf(token),
    }));
    return JSON.stringify(this.#known) !== before;
  }

  /**
   * Whose token it is. Digests are of one length, and all of them are compared, so that the time it takes tells
   * neither how much of a token is right nor which one it is.
   */
  identify(presented: string): Caller | undefined {
    const digest = digestOf(presented);
    let found: Caller | undefined;
    for (const known of this.#known) {
      if (timingSafeEqual(known.digest, digest)) found = known.caller;
    }
    return found;
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
