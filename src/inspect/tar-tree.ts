import { createHash, hash, type Hash } from 'node:crypto';
import { BackupError } from '../domain/errors.ts';
import type { FilesContents } from '../domain/manifest.ts';
import type { Inspector } from '../domain/ports.ts';
import { type TarEntry, TarReader } from '../formats/tar/tar-reader.ts';

const LINES_BYTES = 65_536;
/** More than everything in a line but the path and the link: type, mode, two numbers, a SHA-256 in hex. */
const LINE_ROOM_BYTES = 256;

/**
 * Derives the contents of a files archive from its tar stream. `digest` is the SHA-256 over one line per
 * entry, in the order of the archive:
 *
 *     path NUL type NUL mode NUL size NUL mtime NUL data \n
 *
 * - path: the member's bytes as they are, without the slash that ends a directory;
 * - type: `file`, `directory`, `symlink`, `link` (a hard link), `fifo`, `character`, `block`;
 * - mode: the lower 12 bits as four octal digits, `0644`, `4755`;
 * - size: bytes of data, decimal; `0` for all but files;
 * - mtime: whole seconds since 1970, decimal, rounded towards the past, `-1` for the second before;
 * - data: of a file the SHA-256 of its data in hex (also of an empty one); of links the bytes of the target,
 *   which for a hard link is the path of the first member; empty for the rest.
 *
 * NUL is the byte 0, `\n` the byte 10; the line is bytes, not text. Owners and device numbers are not part of
 * it. `changed` and `incomplete` stay empty here: only the source knows them.
 */
export class TarTreeInspector implements Inspector {
  readonly #reader = new TarReader({
    entry: (entry) => this.#begin(entry),
    data: (piece) => this.#data(piece),
    entryEnd: () => this.#finish(),
  });
  readonly #digest = createHash('sha256');
  /** Lines are gathered here, because hashing them one by one costs more than the rest of an entry. */
  #lines = Buffer.allocUnsafe(LINES_BYTES);
  #linesFilled = 0;
  #entry: TarEntry | undefined;
  #dataHash: Hash | undefined;
  #dataHex = '';
  #entries = 0;
  #bytes = 0;

  write(chunk: Buffer): void {
    this.#reader.write(chunk);
  }

  async end(): Promise<FilesContents> {
    this.#reader.end();
    if (this.#entries === 0) {
      throw new BackupError('DUMP_EMPTY', 'the tar archive has no entries', {
        hint: 'Look at the directories of the source: even an empty one is an entry.',
      });
    }
    this.#flushLines();
    return {
      entries: this.#entries,
      bytes: this.#bytes,
      digest: this.#digest.digest('hex'),
      changed: [],
      incomplete: [],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // It holds memory only.
  }

  #begin(entry: TarEntry): void {
    this.#entry = entry;
    this.#dataHash = undefined;
    this.#dataHex = '';
  }

  #data(piece: Buffer): void {
    if (piece.length === this.#entry?.size) {
      this.#dataHex = hash('sha256', piece, 'hex');
      return;
    }
    this.#dataHash ??= createHash('sha256');
    this.#dataHash.update(piece);
  }

  #finish(): void {
    const entry = this.#entry;
    if (entry === undefined) return;
    if (entry.type === 'file' && this.#dataHex === '') {
      this.#dataHex = this.#dataHash === undefined ? EMPTY_SHA256 : this.#dataHash.digest('hex');
    }
    this.#entries += 1;
    this.#bytes += entry.size;
    this.#addLine(entry, this.#dataHex);
  }

  #addLine({ path, type, mode, size, mtime_s, link }: TarEntry, dataHex: string): void {
    const room = path.length + link.length + LINE_ROOM_BYTES;
    if (this.#linesFilled + room > this.#lines.length) this.#flushLines();
    if (room > this.#lines.length) this.#lines = Buffer.allocUnsafe(room);
    const lines = this.#lines;
    let at = this.#linesFilled;
    at += path.copy(lines, at);
    const attributes = `\0${type}\0${mode.toString(8).padStart(4, '0')}\0${size}\0${mtime_s}\0${dataHex}`;
    at += lines.write(attributes, at, 'latin1');
    at += link.copy(lines, at);
    lines[at] = 0x0a;
    this.#linesFilled = at + 1;
  }

  #flushLines(): void {
    this.#digest.update(this.#lines.subarray(0, this.#linesFilled));
    this.#linesFilled = 0;
  }
}

const EMPTY_SHA256 = hash('sha256', '', 'hex');
