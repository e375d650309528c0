import { BackupError } from '../../domain/errors.ts';
import { CopyData } from './copy-data.ts';
import { type CopyTarget, parseCopyHeader } from './copy-header.ts';
import { SqlLexer } from './sql-lexer.ts';

/** The lines that close a dump: of `pg_dump`, and of `pg_dumpall` (roles and tablespaces). */
const COMPLETIONS: readonly string[] = [
  '-- PostgreSQL database dump complete\n',
  '-- PostgreSQL database cluster dump complete\n',
];
/** Lines that differ between two dumps of the same data. */
const VOLATILE = [
  '-- Dumped from database version ',
  '-- Dumped by pg_dump version ',
  '\\restrict ',
  '\\unrestrict ',
];
const COPY = 'COPY ';
/** What tells the kinds of units apart: the longest of the texts above. */
const HEAD_BYTES = Math.max(...[...COMPLETIONS, ...VOLATILE].map((text) => text.length));
/** A COPY statement has at most 1,600 columns with names of at most 128 quoted bytes. */
const COPY_MAX_BYTES = 1 << 20;
const NEWLINE = 0x0a;

/**
 * A unit is what stands between two newlines outside of any statement, with its newline.
 *   volatile: a line that differs between two dumps of the same data: a comment that names a version,
 *     `\restrict KEY`, `\unrestrict KEY`
 *   comment: any other line that begins with `--`, the line that completes the dump too
 *   blank: an empty line
 *   meta: any other of psql's own commands, such as `\connect`
 *   copy: the header of a COPY block, whose data follow
 *   statement: anything else; a statement of several lines is one unit, with the comments within
 */
export type UnitKind = 'volatile' | 'comment' | 'blank' | 'meta' | 'copy' | 'statement';

export interface UnitInfo {
  /** The same for all pieces of a unit. */
  kind: UnitKind;
  /** Whether the piece is the first of its unit. */
  isStart: boolean;
  /** Whether the piece is the last of its unit: it ends with the unit's newline. Both, for most units. */
  isEnd: boolean;
}

/**
 * Called in the order of the dump. Pieces are raw bytes, never empty, and valid during the call only; all of
 * them, with the line `\.` (END_OF_DATA) at each `copyEnd`, make the dump again, byte by byte.
 */
export interface PlainDumpHandler {
  /**
   * A piece of a unit; the first is never shorter than 45 bytes, unless the unit is. A unit of the kind `copy`
   * comes as one piece, and `copyStart` right behind it. Nothing is known of a unit's end before it is read.
   */
  unit(piece: Buffer, info: UnitInfo): void;
  copyStart(target: CopyTarget): void;
  /** A piece of data lines, cut anywhere. */
  rows(piece: Buffer): void;
  /** The line `\.` was read; no piece holds it. */
  copyEnd(): void;
}

/**
 * Reads a plain dump (`pg_dump`, `pg_restore -f -`, `pg_dumpall --globals-only`) as it comes, whatever the
 * boundaries of its chunks, in constant memory: statements are handed on while they are read.
 */
export class PlainDumpReader {
  readonly #handler: PlainDumpHandler;
  readonly #lexer = new SqlLexer();
  readonly #rows: (piece: Buffer) => void;
  #data: CopyData | undefined;
  #target: CopyTarget | undefined;
  /** Of the unit under way; undefined while its first bytes, or a possible COPY header, are collected. */
  #kind: UnitKind | undefined;
  /** Bytes of the current unit that came with earlier chunks; empty once its kind is known. */
  #collected: Buffer = Buffer.alloc(0);
  #isEmpty = true;
  #isInUnit = false;
  #isComplete = false;
  #hasMoreBehind = false;

  constructor(handler: PlainDumpHandler) {
    this.#handler = handler;
    this.#rows = (piece) => {
      handler.rows(piece);
    };
  }

  /**
   * How many backslashes stood outside of quotes, comments and data, up to the end of the piece being handed on.
   * Each is one of psql's commands to it, also in the middle of a statement.
   */
  get backslashes(): number {
    return this.#lexer.backslashes;
  }

  write(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      this.#isEmpty = false;
      at = this.#data === undefined ? this.#readUnit(chunk, at) : this.#readData(this.#data, chunk, at);
    }
  }

  /**
   * Throws DUMP_EMPTY when there was nothing, and DUMP_TRUNCATED when the dump ended within a unit or a table's
   * data, or without its completion line, or when more than pg_dump writes follows that line.
   */
  end(): void {
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
  }

  #readData(data: CopyData, chunk: Buffer, from: number): number {
    const at = data.advance(chunk, from);
    if (data.ended) {
      this.#data = undefined;
      this.#handler.copyEnd();
    }
    return at;
  }

  #readUnit(chunk: Buffer, from: number): number {
    const at = this.#lexer.advance(chunk, from);
    const isEnd = chunk[at - 1] === NEWLINE && this.#lexer.isBetweenStatements;
    this.#take(chunk.subarray(from, at), isEnd);
    this.#isInUnit = !isEnd;
    return at;
  }

  #take(part: Buffer, isEnd: boolean): void {
    if (this.#kind !== undefined) {
      this.#handler.unit(part, { kind: this.#kind, isStart: false, isEnd });
      if (isEnd) this.#kind = undefined;
      return;
    }
    const soFar = this.#collected.length === 0 ? part : Buffer.concat([this.#collected, part]);
    const kind = this.#decide(soFar, isEnd);
    if (kind === undefined) {
      // A copy: the bytes of a chunk may be used again once write() has returned.
      this.#collected = soFar === part ? Buffer.from(part) : soFar;
      return;
    }
    this.#collected = Buffer.alloc(0);
    this.#kind = isEnd ? undefined : kind;
    this.#handler.unit(soFar, { kind, isStart: true, isEnd });
    if (kind === 'copy' && this.#target !== undefined) {
      this.#data = new CopyData(this.#rows);
      this.#handler.copyStart(this.#target);
    }
  }

  /** Recognises the unit by its bytes so far; undefined: more of them are needed. */
  #decide(soFar: Buffer, isEnd: boolean): UnitKind | undefined {
    if (!isEnd && soFar.length < HEAD_BYTES) return undefined;
    const head = soFar.toString('latin1', 0, HEAD_BYTES);
    if (head.startsWith(COPY) && !this.#isComplete) {
      if (!isEnd && soFar.length <= COPY_MAX_BYTES) return undefined;
      this.#target = isEnd ? parseCopyHeader(soFar) : undefined;
      return this.#target === undefined ? 'statement' : 'copy';
    }
    if (this.#isComplete) this.#hasMoreBehind ||= !mayFollowCompletion(head);
    else this.#isComplete = COMPLETIONS.includes(head);
    return kindOf(head);
  }

  #fault(): string | undefined {
    if (this.#data !== undefined && this.#target !== undefined) {
      const { schema, name } = this.#target;
      return `the dump ends within the data of table ${schema}.${name}`;
    }
    if (this.#isInUnit) return 'the dump ends within a line or a statement';
    if (!this.#isComplete) return 'the dump has no completion line ("-- PostgreSQL database dump complete")';
    return this.#hasMoreBehind ? 'something follows the completion line of the dump' : undefined;
  }
}

function kindOf(head: string): UnitKind {
  if (VOLATILE.some((text) => head.startsWith(text))) return 'volatile';
  if (head.startsWith('--')) return 'comment';
  if (head.startsWith('\\')) return 'meta';
  return head === '\n' ? 'blank' : 'statement';
}

function mayFollowCompletion(unit: string): boolean {
  return unit === '\n' || unit === '--\n' || unit.startsWith('\\unrestrict ');
}
