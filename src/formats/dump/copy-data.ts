/** The line that ends the data. No row can look like it: COPY writes a backslash in data as two. */
export const END_OF_DATA = Buffer.from('\\.\n');
const NEWLINE = 0x0a;

/** Finds the line `\.` that ends the data of one COPY block, in chunks cut anywhere. */
export class CopyData {
  readonly #rows: (piece: Buffer) => void;
  #atLineStart = true;
  /** At a line's start: bytes of END_OF_DATA seen so far, held back since they may turn out to be data. */
  #matched = 0;
  #ended = false;

  /** @param rows takes the data lines in pieces, which are never empty and valid during the call only. */
  constructor(rows: (piece: Buffer) => void) {
    this.#rows = rows;
  }

  /** Whether the closing line was read. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Reads on from `from` up to and with the closing line, else to the end of the chunk; returns where. */
  advance(chunk: Buffer, from: number): number {
    const at = this.#atLineStart ? this.#matchEnd(chunk, from) : from;
    if (this.#ended || at === chunk.length) return at;
    const end = endOfRows(chunk, at);
    if (end !== -1) {
      this.#hand(chunk.subarray(at, end));
      this.#ended = true;
      return end + END_OF_DATA.length;
    }
    this.#matched = heldBack(chunk);
    const rowsEnd = chunk.length - this.#matched;
    this.#hand(chunk.subarray(at, rowsEnd));
    this.#atLineStart = chunk[rowsEnd - 1] === NEWLINE;
    return chunk.length;
  }

  /** At a line's start: how far the closing line goes. Leaves that state when the line is a row. */
  #matchEnd(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length && chunk[at] === END_OF_DATA[this.#matched]) {
      this.#matched += 1;
      at += 1;
      if (this.#matched === END_OF_DATA.length) {
        this.#ended = true;
        return at;
      }
    }
    if (at === chunk.length) return at;
    this.#hand(END_OF_DATA.subarray(0, this.#matched));
    this.#matched = 0;
    this.#atLineStart = false;
    return at;
  }

  #hand(piece: Buffer): void {
    if (piece.length > 0) this.#rows(piece);
  }
}

/**
 * Where the closing line begins, from the middle of a row on; -1 when it is not in this chunk. The search
 * is for the backslash: there are fewer of them than newlines, and each hit costs a step of the search.
 */
function endOfRows(chunk: Buffer, from: number): number {
  let at = chunk.indexOf(END_OF_DATA, from);
  while (at !== -1 && chunk[at - 1] !== NEWLINE) at = chunk.indexOf(END_OF_DATA, at + 1);
  return at;
}

/** How many bytes at the chunk's end follow a newline and begin the closing line. */
function heldBack(chunk: Buffer): number {
  for (let held = END_OF_DATA.length - 1; held > 0; held -= 1) {
    const start = chunk.length - held;
    const isBeginning = chunk.subarray(start).equals(END_OF_DATA.subarray(0, held));
    if (chunk[start - 1] === NEWLINE && isBeginning) return held;
  }
  return 0;
}
