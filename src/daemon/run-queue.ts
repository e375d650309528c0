/** Lets at most `concurrency` pieces of work run at once; the others wait in the order they came. */
export class RunQueue {
  #concurrency: number;
  #active = 0;
  readonly #waiting: (() => void)[] = [];
  readonly #all = new Set<Promise<void>>();

  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  setConcurrency(concurrency: number): void {
    this.#concurrency = concurrency;
    this.#admit();
  }

  /** Starts the work as soon as there is room. Work still waiting when the signal aborts is dropped. */
  add(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const done = this.#take(work, signal);
    this.#all.add(done);
    const forget = () => this.#all.delete(done);
    done.then(forget, forget);
    return done;
  }

  /** Resolves when nothing runs or waits any more. */
  async idle(): Promise<void> {
    while (this.#all.size > 0) await Promise.allSettled(this.#all);
  }

  async #take(work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    if (!(await this.#turn(signal))) return;
    try {
      if (!signal.aborted) await work();
    } finally {
      this.#active -= 1;
      this.#admit();
    }
  }

  /**
   * Resolves to whether there is room; then the place is taken already. It must be taken by whoever gives it,
   * for the one who waits runs on only after others may have looked.
   */
  #turn(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const enter = () => {
      signal.removeEventListener('abort', giveUp);
      resolve(true);
    };
    const giveUp = () => {
      this.#waiting.splice(this.#waiting.indexOf(enter), 1);
      resolve(false);
    };
    this.#waiting.push(enter);
    signal.addEventListener('abort', giveUp, { once: true });
    this.#admit();
    return promise;
  }

  #admit(): void {
    while (this.#active < this.#concurrency) {
      const enter = this.#waiting.shift();
      if (enter === undefined) return;
      this.#active += 1;
      enter();
    }
  }
}
