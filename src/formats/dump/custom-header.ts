/** What the head of a dump in the custom format says. Versions as the programs write them: `15.18 (Debian …)`. */
export interface CustomHeader {
  /** Absent in archives of PostgreSQL 8.3 and older. */
  server_version?: string;
  tool_version?: string;
}

const MAGIC = Buffer.from('PGDMP', 'latin1');
/** Far more than any version or name of a database. */
const TEXT_MAX_BYTES = 65_536;

/**
 * Reads the head of a dump in the custom format. `more` when it goes on behind these bytes; undefined when they
 * are no such dump.
 *
 * Format: `ReadHead`, `ReadInt` and `ReadStr` in PostgreSQL's src/bin/pg_dump/pg_backup_archiver.c, for archives
 * of version 1.10 (PostgreSQL 8.0) and newer.
 */
export function readCustomHeader(head: Buffer): CustomHeader | 'more' | undefined {
  const magic = head.subarray(0, MAGIC.length);
  if (MAGIC.compare(magic) !== 0) {
    return MAGIC.subarray(0, magic.length).compare(magic) === 0 ? 'more' : undefined;
  }
  const reader = new HeaderReader(head, MAGIC.length);
  try {
    const [major, minor] = [reader.byte(), reader.byte(), reader.byte()];
    if (major !== 1 || minor === undefined || minor < 10) return undefined;
    reader.intBytes = reader.byte();
    // Of an offset, and the kind of archive.
    reader.skip(2);
    // Compression: an algorithm since 1.15, a level before.
    if (minor >= 15) reader.skip(1);
    else reader.int();
    // When it was made: seconds to years, and whether it was summer.
    for (let field = 0; field < 7; field += 1) reader.int();
    reader.text();
    const server = reader.text();
    const tool = reader.text();
    return {
      ...(server === undefined ? {} : { server_version: server }),
      ...(tool === undefined ? {} : { tool_version: tool }),
    };
  } catch (error) {
    if (error === MORE) return 'more';
    if (error === MALFORMED) return undefined;
    throw error;
  }
}

const MORE = new RangeError('the header goes on');
const MALFORMED = new RangeError('no such header');

class HeaderReader {
  readonly #bytes: Buffer;
  #at: number;
  /** Bytes of an integer, behind its sign. */
  intBytes = 4;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  skip(count: number): void {
    if (this.#at + count > this.#bytes.length) throw MORE;
    this.#at += count;
  }

  byte(): number {
    this.skip(1);
    return this.#bytes[this.#at - 1] ?? 0;
  }

  int(): number {
    const isNegative = this.byte() !== 0;
    if (this.intBytes < 1 || this.intBytes > 6) throw MALFORMED;
    this.skip(this.intBytes);
    const value = this.#bytes.readUIntLE(this.#at - this.intBytes, this.intBytes);
    return isNegative ? -value : value;
  }

  text(): string | undefined {
    const length = this.int();
    if (length < 0) return undefined;
    if (length > TEXT_MAX_BYTES) throw MALFORMED;
    this.skip(length);
    return this.#bytes.toString('utf8', this.#at - length, this.#at);
  }
}
