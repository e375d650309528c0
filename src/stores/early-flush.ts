import type { FileHandle } from 'node:fs/promises';

/** What is written before the disk is told to begin. */
const FLUSH_BYTES = 32 * 1024 * 1024;

/**
 * Has the disk begin while there is still something to write: by itself the system gathers gigabytes first, and the
 * flush at the end then waits for all of them. One flush at a time; whether one failed is kept, for the system tells
 * of a lost write only once.
 */
export class EarlyFlush {
  readonly #file: FileHandle;
  #pending_bytes = 0;
  #running: Promise<void> | undefined;
  #fault: Error | undefined;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  wrote(bytes: number): void {
    this.#pending_bytes += bytes;
    if (this.#pending_bytes < FLUSH_BYTES || this.#running !== undefined) return;
    this.#pending_bytes = 0;
    this.#running = this.#file.datasync().then(
      () => this.#ended(undefined),
      (error: Error) => this.#ended(error),
    );
  }

  /** Never rejects. */
  async end(): Promise<void> {
    await this.#running;
  }

  assertSucceeded(): void {
    if (this.#fault !== undefined) throw this.#fault;
  }

  #ended(error: Error | undefined): void {
    this.#fault ??= error;
    this.#running = undefined;
  }
}
