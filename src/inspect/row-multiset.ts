import { createHash, hash, type Hash } from 'node:crypto';
import { RowCensus } from '../domain/row-census.ts';
import { LaneSum } from './lane-sum.ts';

const NEWLINE = 0x0a;
const TAB = 0x09;
/** Longer rows are hashed field by field while they come. */
const ROW_MAX_BYTES = 1 << 20;
const NONE: readonly number[] = [];

/**
 * A digest of the rows of a COPY block that is the same in any order of them, from pieces cut anywhere: the sum
 * of the SHA-256 of each data line, with its newline. Their fields stand in the order of the columns' names
 * there, because a table that inherits may be restored with its columns in another order: those that were added
 * to the parent later move to the front.
 */
export class RowMultiset {
  /** Of the same digests. */
  readonly census = new RowCensus();
  readonly #sum = new LaneSum();
  /** For each place of the line that is hashed, which field of the row stands there; empty: the row as it is. */
  readonly #order: readonly number[];
  readonly #columns: number;
  /** The row under way, of earlier pieces. */
  #begun: Buffer[] = [];
  #begunBytes = 0;
  #longRow: LongRow | undefined;

  /** @param columns the names in the order of the block. */
  constructor(columns: readonly string[]) {
    const order = columns.map((_name, at) => at).sort((a, b) => compare(columns[a], columns[b]));
    this.#order = order.every((field, at) => field === at) ? NONE : order;
    this.#columns = columns.length;
  }

  add(piece: Buffer): void {
    let from = 0;
    for (let end = piece.indexOf(NEWLINE); end !== -1; end = piece.indexOf(NEWLINE, from)) {
      this.#endRow(piece.subarray(from, end + 1));
      from = end + 1;
    }
    if (from < piece.length) this.#begin(piece.subarray(from));
  }

  /** 64 hex digits. */
  digest(): string {
    return this.#sum.hex();
  }

  #begin(part: Buffer): void {
    if (this.#longRow === undefined && this.#begunBytes + part.length <= ROW_MAX_BYTES) {
      // A copy: the bytes of a chunk may be used again.
      this.#begun.push(Buffer.from(part));
      this.#begunBytes += part.length;
      return;
    }
    this.#lengthen(part);
  }

  #lengthen(part: Buffer): void {
    this.#longRow ??= new LongRow();
    for (const earlier of this.#begun) this.#longRow.add(earlier);
    this.#longRow.add(part);
    this.#begun = [];
    this.#begunBytes = 0;
  }

  #endRow(part: Buffer): void {
    if (this.#longRow === undefined && this.#begunBytes + part.length <= ROW_MAX_BYTES) {
      const row = this.#begun.length === 0 ? part : Buffer.concat([...this.#begun, part]);
      this.#begun = [];
      this.#begunBytes = 0;
      this.#count(hash('sha256', this.#reordered(row), 'buffer'));
      return;
    }
    this.#lengthen(part);
    if (this.#longRow !== undefined) this.#count(this.#longRow.digest(this.#order));
    this.#longRow = undefined;
  }

  #count(digest: Buffer): void {
    this.#sum.add(digest);
    this.census.count(digest);
  }

  #reordered(row: Buffer): Buffer {
    if (this.#order.length === 0) return row;
    const fields: Buffer[] = [];
    let from = 0;
    for (let tab = row.indexOf(TAB); tab !== -1; tab = row.indexOf(TAB, from)) {
      fields.push(row.subarray(from, tab));
      from = tab + 1;
    }
    fields.push(row.subarray(from, row.length - 1));
    if (fields.length !== this.#columns) return row;
    const line = Buffer.allocUnsafe(row.length);
    let at = 0;
    for (const field of this.#order) {
      at += fields[field]?.copy(line, at) ?? 0;
      line[at] = TAB;
      at += 1;
    }
    line[at - 1] = NEWLINE;
    return line;
  }
}

/** A row that is too long to be kept: the digest of the digests of its fields. */
class LongRow {
  readonly #fields: Buffer[] = [];
  #field: Hash = createHash('sha256');

  add(part: Buffer): void {
    let from = 0;
    for (let tab = part.indexOf(TAB); tab !== -1; tab = part.indexOf(TAB, from)) {
      this.#endField(part.subarray(from, tab));
      from = tab + 1;
    }
    if (part.at(-1) === NEWLINE) this.#endField(part.subarray(from, -1));
    else this.#field.update(part.subarray(from));
  }

  digest(order: readonly number[]): Buffer {
    const isReordered = order.length === this.#fields.length;
    const fields = isReordered ? order.flatMap((field) => this.#fields[field] ?? []) : this.#fields;
    return hash('sha256', Buffer.concat(fields), 'buffer');
  }

  #endField(part: Buffer): void {
    this.#fields.push(this.#field.update(part).digest());
    this.#field = createHash('sha256');
  }
}

function compare(a = '', b = ''): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
