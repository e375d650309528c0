import { createHash, type Hash } from 'node:crypto';
import type { DatabaseContents, TableContents } from '../domain/manifest.ts';
import { END_OF_DATA } from '../formats/dump/copy-data.ts';
import type { CopyTarget } from '../formats/dump/copy-header.ts';
import type { PlainDumpHandler, UnitInfo } from '../formats/dump/plain-dump-reader.ts';
import { countNewlines } from './count-newlines.ts';

interface Block {
  target: CopyTarget;
  hash: Hash;
  rows: number;
  bytes: number;
}

/**
 * Derives the contents of a plain dump from what its reader finds. Each COPY block is digested over its data
 * lines, without the closing `\.`; every other line goes into one digest of the schema, but for the volatile
 * ones. docs/format.md says how to compute both with standard programs.
 */
export class DumpContents implements PlainDumpHandler {
  readonly #schemaHash = createHash('sha256');
  readonly #tables: TableContents[] = [];
  #block: Block | undefined;

  unit(piece: Buffer, { kind }: UnitInfo): void {
    if (kind !== 'volatile') this.#schemaHash.update(piece);
  }

  copyStart(target: CopyTarget): void {
    this.#block = { target, hash: createHash('sha256'), rows: 0, bytes: 0 };
  }

  rows(piece: Buffer): void {
    const block = this.#block;
    if (block === undefined) return;
    block.hash.update(piece);
    block.bytes += piece.length;
    block.rows += countNewlines(piece);
  }

  copyEnd(): void {
    this.#schemaHash.update(END_OF_DATA);
    if (this.#block === undefined) return;
    const { target, hash, rows, bytes } = this.#block;
    this.#tables.push({ ...target, rows, bytes, sha256: hash.digest('hex') });
    this.#block = undefined;
  }

  /** Of the whole dump; to be asked once. */
  contents(): DatabaseContents {
    return { tables: this.#tables, schema_sha256: this.#schemaHash.digest('hex') };
  }
}
