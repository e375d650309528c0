import { MAX_HEADER_BYTES, padded, type TarEntry, TarHeaderWriter } from './tar-header.ts';

/** Tapes were written in records of 20 blocks; every tar still pads its archives to them. */
const RECORD_BYTES = 10_240;
const END_BLOCKS_BYTES = 1_024;
/** An entry starts in a chunk with room for its headers and some data only, so that both can be taken back. */
const ENTRY_ROOM_BYTES = MAX_HEADER_BYTES + 512;

/** The chunk being filled. File data is read straight into `buffer` at `position`. */
export class PackOutput {
  readonly #headers = new TarHeaderWriter();
  readonly #memory: () => Buffer;
  #taken = 0;
  buffer: Buffer;
  position = 0;

  /** @param memory gives what the next chunk is made in: a multiple of 512 bytes, and at least 64 KiB. */
  constructor(memory: () => Buffer) {
    this.#memory = memory;
    this.buffer = memory();
  }

  get room(): number {
    return this.buffer.length - this.position;
  }

  hasRoomForEntry(): boolean {
    return this.room >= ENTRY_ROOM_BYTES;
  }

  /** The chunk as filled so far; a new one is begun. */
  take(): Buffer {
    const chunk = this.buffer.subarray(0, this.position);
    this.#taken += chunk.length;
    this.buffer = this.#memory();
    this.position = 0;
    return chunk;
  }

  header(entry: TarEntry): void {
    this.position = this.#headers.write(this.buffer, this.position, entry);
  }

  zeros(bytes: number): void {
    this.buffer.fill(0, this.position, this.position + bytes);
    this.position += bytes;
  }

  /** Chunks are whole blocks, so the end of the current block is always in the current chunk. */
  padBlock(): void {
    this.zeros(padded(this.position) - this.position);
  }

  endOfArchive(): void {
    const end = this.#taken + this.position + END_BLOCKS_BYTES;
    this.zeros(END_BLOCKS_BYTES + Math.ceil(end / RECORD_BYTES) * RECORD_BYTES - end);
  }
}
