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
    await this.#turn(signal);
    if (signal.aborted) return;
    this.#active += 1;
    try {
      await work();
    } finally {
      this.#active -= 1;
      this.#admit();
    }
  }

  #turn(signal: AbortSignal): Promise<void> {
    if (this.#active < this.#concurrency && this.#waiting.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const enter = () => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        resolve();
      };
      this.#waiting.push(enter);
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  #admit(): void {
    for (let room = this.#concurrency - this.#active; room > 0; room -= 1) this.#waiting.shift()?.();
  }
}
