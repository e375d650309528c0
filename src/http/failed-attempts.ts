import { isIPv6 } from 'node:net';

const WINDOW_MS = 60_000;
const ATTEMPTS_MOST = 10;
/** Who has more addresses than this to guess from gets a few more guesses; the memory stays bounded. */
const ADDRESSES_MOST = 10_000;

interface Attempts {
  since_ms: number;
  count: number;
}

/** Counts wrong tokens by the address they came from. */
export class FailedAttempts {
  readonly #attempts = new Map<string, Attempts>();
  readonly #ticks_ms: () => number;

  /** @param ticks_ms a clock that never is set. */
  constructor(ticks_ms: () => number = () => performance.now()) {
    this.#ticks_ms = ticks_ms;
  }

  get size(): number {
    return this.#attempts.size;
  }

  /** Seconds until the address may try again; 0: now. */
  secondsToWait(address: string): number {
    const attempts = this.#current(networkOf(address));
    if (attempts === undefined || attempts.count < ATTEMPTS_MOST) return 0;
    return Math.ceil((attempts.since_ms + WINDOW_MS - this.#ticks_ms()) / 1000);
  }

  note(address: string): void {
    const network = networkOf(address);
    const attempts = this.#current(network) ?? { since_ms: this.#ticks_ms(), count: 0 };
    attempts.count += 1;
    this.#attempts.set(network, attempts);
    // A map keeps the order of insertion: the first is the one that waits longest.
    const [oldest] = this.#attempts.keys();
    if (this.#attempts.size > ADDRESSES_MOST && oldest !== undefined) this.#attempts.delete(oldest);
  }

  #current(network: string): Attempts | undefined {
    const attempts = this.#attempts.get(network);
    if (attempts === undefined) return undefined;
    if (this.#ticks_ms() - attempts.since_ms < WINDOW_MS) return attempts;
    this.#attempts.delete(network);
    return undefined;
  }
}

/** Who has one address of a /64 has all of them. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address;
  const [head = '', tail] = address.split('::');
  const front = head === '' ? [] : head.split(':');
  const back = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : Array.from({ length: 8 - front.length - back.length }, () => '0');
  return `${[...front, ...zeros, ...back].slice(0, 4).join(':')}::/64`;
}
