import { createHash } from 'node:crypto';
import { BackupError } from '../domain/errors.ts';
import type { DatabaseContents, TableContents } from '../domain/manifest.ts';
import type { Inspector } from '../domain/ports.ts';
import { CopyData, END_OF_DATA } from './copy-data.ts';
import { parseCopyHeader } from './copy-header.ts';
import { SqlLexer } from './sql-lexer.ts';

const COMPLETION = '-- PostgreSQL database dump complete\n';
/** Lines that differ between two dumps of the same data. */
const VOLATILE = [
  '-- Dumped from database version ',
  '-- Dumped by pg_dump version ',
  '\\restrict ',
  '\\unrestrict ',
];
const COPY = 'COPY ';
/** What tells the kinds of units apart: the longest of the texts above. */
const HEAD_BYTES = COMPLETION.length;
/** A COPY statement has at most 1,600 columns with names of at most 128 quoted bytes. */
const COPY_MAX_BYTES = 1 << 20;

/**
 * A unit is what stands between two newlines outside of any statement: a comment line, one of psql's
 * commands, an empty line, or a whole statement, of several lines maybe.
 *   undecided: its first bytes are being collected
 *   copy: it starts with `COPY ` and is collected to its end, to be parsed
 *   hashed: it belongs to the schema
 *   dropped: it does not
 */
type UnitKind = 'undecided' | 'copy' | 'hashed' | 'dropped';

/**
 * Derives the contents of a plain dump (`pg_dump`, or `pg_restore -f -`) from its bytes, in constant
 * memory. Each COPY block is digested over its data lines, without the closing `\.`; every other line goes
 * into one digest of the schema, but for comments that name versions and `\restrict`/`\unrestrict`.
 * docs/format.md says how to compute both with standard programs.
 */
export class PlainDumpInspector implements Inspector {
  readonly #lexer = new SqlLexer();
  readonly #schemaHash = createHash('sha256');
  readonly #tables: TableContents[] = [];
  #data: CopyData | undefined;
  #kind: UnitKind = 'undecided';
  /** Bytes of the current unit that came with earlier chunks; used while undecided and copy. */
  #collected: Buffer = Buffer.alloc(0);
  #isEmpty = true;
  #isInUnit = false;
  #isComplete = false;
  #hasMoreBehind = false;

  write(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      this.#isEmpty = false;
      at = this.#data === undefined ? this.#readUnit(chunk, at) : this.#readData(this.#data, chunk, at);
    }
  }

  async end(): Promise<DatabaseContents> {
    if (this.#isEmpty) {
      throw new BackupError('DUMP_EMPTY', 'the dump holds nothing', {
        hint: 'Run pg_dump by hand with the same connection to see why it wrote nothing.',
      });
    }
    const fault = this.#fault();
    if (fault !== undefined) {
      throw new BackupError('DUMP_TRUNCATED', fault, {
        hint: 'The dump was cut off, or changed afterwards: do not rely on it; look for a full disk or a killed pg_dump.',
      });
    }
    return { tables: this.#tables, schema_sha256: this.#schemaHash.digest('hex') };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is held.
  }

  #readData(data: CopyData, chunk: Buffer, from: number): number {
    const at = data.advance(chunk, from);
    if (data.ended) {
      this.#tables.push(data.contents());
      this.#schemaHash.update(END_OF_DATA);
      this.#data = undefined;
    }
    return at;
  }

  #readUnit(chunk: Buffer, from: number): number {
    const at = this.#lexer.advance(chunk, from);
    const isEnd = chunk[at - 1] === 0x0a && this.#lexer.isBetweenStatements;
    this.#take(chunk.subarray(from, at), isEnd);
    this.#isInUnit = !isEnd;
    return at;
  }

  #take(part: Buffer, isEnd: boolean): void {
    switch (this.#kind) {
      case 'dropped':
        break;
      case 'hashed':
        this.#schemaHash.update(part);
        break;
      case 'undecided':
      case 'copy': {
        const soFar = this.#collected.length === 0 ? part : Buffer.concat([this.#collected, part]);
        this.#kind = this.#decide(soFar, isEnd);
        if (this.#kind === 'hashed') this.#schemaHash.update(soFar);
        const isCollecting = this.#kind === 'copy' || this.#kind === 'undecided';
        // A copy: the bytes of a chunk may be used again once write() has returned.
        this.#collected = isCollecting ? Buffer.from(soFar) : Buffer.alloc(0);
        break;
      }
      default:
        this.#kind satisfies never;
    }
    if (isEnd) this.#kind = 'undecided';
  }

  /** Recognises the unit by its bytes so far; a decision once made is not changed but for `copy`. */
  #decide(soFar: Buffer, isEnd: boolean): UnitKind {
    if (!isEnd && soFar.length < HEAD_BYTES) return 'undecided';
    const head = soFar.toString('latin1', 0, HEAD_BYTES);
    if (head.startsWith(COPY) && !this.#isComplete) {
      if (!isEnd && soFar.length <= COPY_MAX_BYTES) return 'copy';
      const target = isEnd ? parseCopyHeader(soFar) : undefined;
      if (target !== undefined) this.#data = new CopyData(target);
      return 'hashed';
    }
    if (this.#isComplete) this.#hasMoreBehind ||= !mayFollowCompletion(head);
    else this.#isComplete = head === COMPLETION;
    return VOLATILE.some((text) => head.startsWith(text)) ? 'dropped' : 'hashed';
  }

  #fault(): string | undefined {
    if (this.#data !== undefined) {
      const { schema, name } = this.#data.target;
      return `the dump ends within the data of table ${schema}.${name}`;
    }
    if (this.#isInUnit) return 'the dump ends within a line or a statement';
    if (!this.#isComplete) return 'the dump has no completion line ("-- PostgreSQL database dump complete")';
    return this.#hasMoreBehind ? 'something follows the completion line of the dump' : undefined;
  }
}

function mayFollowCompletion(unit: string): boolean {
  return unit === '\n' || unit === '--\n' || unit.startsWith('\\unrestrict ');
}
