/** Large enough that what each batch costs on its way, whatever its size, does not count. */
export const BATCH_BYTES = 256 * 1024;
/** Batches that wait for their reader before the writer is held up. */
const MAX_WAITING = 4;
/** How long bytes of a slow writer wait for their batch to fill up. */
const LINGER_MS = 20;

/**
 * Between a pipe and whoever reads it in batches: the bytes lie in memory that is used over and over. A batch is full
 * but for the last one, and one of a writer that needs more than 20 ms for it.
 */
export class BatchQueue {
  readonly #waiting: Buffer[] = [];
  readonly #free: Buffer[] = [];
  #batch: Buffer | undefined;
  /** What of the current memory has been handed over, and what of it is filled. */
  #handedOver = 0;
  #filled = 0;
  #linger: NodeJS.Timeout | undefined;
  #end: { error: Error | undefined } | undefined;
  #wake: (() => void) | undefined;

  /** Whether the writer should be held up. */
  get isFull(): boolean {
    return this.#waiting.length >= MAX_WAITING;
  }

  /**
   * Where the next bytes are to be put: never empty. It stays that place until `wrote` is called, whatever is handed
   * over meanwhile: a read may be under way into it.
   */
  room(): Buffer {
    this.#batch ??= this.#free.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES);
    return this.#batch.subarray(this.#filled);
  }

  /** That many bytes were put there. */
  wrote(bytes: number): void {
    this.#filled += bytes;
    if (this.#filled === BATCH_BYTES) this.#handOver();
    else if (this.#filled > this.#handedOver) this.#linger ??= setTimeout(() => this.#handOver(), LINGER_MS);
  }

  /** Nothing follows; with an error, because it broke off. */
  end(error?: Error): void {
    this.#handOver();
    this.#end ??= { error };
    this.#wake?.();
  }

  /**
   * The batches in their order, each valid until the next one is asked for. Throws the error of the end behind the
   * last of them.
   * @param onRoom is told when the queue, which was full, is not any more.
   */
  async *batches(onRoom: () => void): AsyncGenerator<Buffer, void, undefined> {
    try {
      for (;;) {
        const wasFull = this.isFull;
        const next = this.#waiting.shift();
        if (next !== undefined) {
          if (wasFull) onRoom();
          yield next;
          // Pieces of one memory come one after the other: behind the last of them nobody looks at it any more.
          if (next.byteOffset + next.length === BATCH_BYTES) this.#free.push(Buffer.from(next.buffer));
        } else if (this.#end !== undefined) {
          if (this.#end.error !== undefined) throw this.#end.error;
          return;
        } else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
          this.#wake = undefined;
        }
      }
    } finally {
      clearTimeout(this.#linger);
    }
  }

  #handOver(): void {
    clearTimeout(this.#linger);
    this.#linger = undefined;
    if (this.#batch === undefined || this.#filled === this.#handedOver) return;
    this.#waiting.push(this.#batch.subarray(this.#handedOver, this.#filled));
    this.#handedOver = this.#filled;
    if (this.#filled === BATCH_BYTES) {
      this.#batch = undefined;
      this.#filled = 0;
      this.#handedOver = 0;
    }
    this.#wake?.();
  }
}
