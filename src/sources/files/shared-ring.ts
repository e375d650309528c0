/**
 * Memory that two threads see, in slots of the same size. The first chunk lies in the first slot, the next in the
 * next, and so on around. Handing buffers themselves from thread to thread makes so much garbage outside of the heap
 * that collecting it takes longer than packing.
 */
export interface SharedRing {
  memory: SharedArrayBuffer;
  slots: number;
  /** One counter: chunks that the reader is done with. The writing thread waits on it for a free slot. */
  released: Int32Array;
}

export function makeRing(slots: number, slotBytes: number): SharedRing {
  return {
    memory: new SharedArrayBuffer(slots * slotBytes),
    slots,
    released: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)),
  };
}

/** The side of the thread that fills the slots. */
export class RingWriter {
  readonly #ring: SharedRing;
  #begun = 0;

  constructor(ring: SharedRing) {
    this.#ring = ring;
  }

  /** The slot of the next chunk, once it is free: blocks this thread until then. */
  nextSlot(): Buffer {
    const { released, slots } = this.#ring;
    for (;;) {
      const count = Atomics.load(released, 0);
      if (this.#begun - count < slots) break;
      Atomics.wait(released, 0, count);
    }
    this.#begun += 1;
    return slotOf(this.#ring, this.#begun - 1);
  }
}

/** The side of the thread that takes the chunks, in their order. */
export class RingReader {
  readonly #ring: SharedRing;
  #taken = 0;

  constructor(ring: SharedRing) {
    this.#ring = ring;
  }

  /** The next chunk, valid until it is released. */
  take(bytes: number): Buffer {
    this.#taken += 1;
    return slotOf(this.#ring, this.#taken - 1).subarray(0, bytes);
  }

  /** Frees the slot of the oldest chunk that was taken. */
  release(): void {
    Atomics.add(this.#ring.released, 0, 1);
    Atomics.notify(this.#ring.released, 0);
  }
}

function slotOf({ memory, slots }: SharedRing, chunk: number): Buffer {
  const bytes = memory.byteLength / slots;
  return Buffer.from(memory, (chunk % slots) * bytes, bytes);
}
