import { closeSync, openSync, readSync, writeSync } from 'node:fs';

const BUFFER_CHARS = 65_536;
const READ_BYTES = 65_536;
const NEWLINE = 0x0a;

/**
 * Records that wait on disk until the end, so that memory does not grow with their number: JSON lines in latin1,
 * since paths are bytes. Appended to, then read from either end.
 */
export class RecordFile<Row> implements Disposable {
  readonly #fd: number;
  #pending = '';
  #size = 0;

  /** Makes the file, which must not exist. */
  constructor(path: string) {
    this.#fd = openSync(path, 'wx+', 0o600);
  }

  append(row: Row): void {
    this.#pending += `${JSON.stringify(row)}\n`;
    if (this.#pending.length >= BUFFER_CHARS) this.#flush();
  }

  *forward(): Generator<Row, void, undefined> {
    this.#flush();
    let rest: Buffer = Buffer.alloc(0);
    for (let at = 0; at < this.#size; at += READ_BYTES) {
      const bytes = Buffer.concat([rest, this.#read(at, Math.min(READ_BYTES, this.#size - at))]);
      let from = 0;
      for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, from)) {
        yield parse(bytes.subarray(from, end));
        from = end + 1;
      }
      rest = bytes.subarray(from);
    }
  }

  *backward(): Generator<Row, void, undefined> {
    this.#flush();
    let rest: Buffer = Buffer.alloc(0);
    for (let end = this.#size; end > 0; end -= READ_BYTES) {
      const at = Math.max(0, end - READ_BYTES);
      const bytes = Buffer.concat([this.#read(at, end - at), rest]);
      let until = bytes.length;
      // The line before a newline is whole once the newline before it was met.
      for (let start = bytes.lastIndexOf(NEWLINE, until - 2); start !== -1 && until >= 2; ) {
        yield parse(bytes.subarray(start + 1, until - 1));
        until = start + 1;
        start = until >= 2 ? bytes.lastIndexOf(NEWLINE, until - 2) : -1;
      }
      rest = bytes.subarray(0, until);
    }
    if (rest.length > 0) yield parse(rest.subarray(0, -1));
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #flush(): void {
    const bytes = Buffer.from(this.#pending, 'latin1');
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#fd, bytes, done, bytes.length - done, this.#size + done);
    }
    this.#size += bytes.length;
    this.#pending = '';
  }

  #read(at: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const read = readSync(this.#fd, bytes, filled, length - filled, at + filled);
      if (read === 0) throw new Error('a file of records was cut short');
      filled += read;
    }
    return bytes;
  }
}

function parse<Row>(line: Buffer): Row {
  return JSON.parse(line.toString('latin1')) as Row;
}
