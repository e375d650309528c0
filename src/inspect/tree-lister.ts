import { createHash, hash, type Hash } from 'node:crypto';
import type { TreeEntry, TreeLister } from '../domain/tree-listing.ts';
import { type TarEntry, TarReader } from '../formats/tar/tar-reader.ts';

export interface TarTreeListerOptions {
  /** Called for each entry, in the order of the archive, once its data has passed by. */
  onEntry: (entry: TreeEntry) => void;
  /** Digests the data of files; without, the `data` of a file is empty. */
  digests: boolean;
}

/** Lists the entries of a tar stream as it comes, in constant memory. */
export class TarTreeLister implements TreeLister {
  readonly #options: TarTreeListerOptions;
  readonly #reader = new TarReader({
    entry: (entry) => this.#begin(entry),
    data: (piece) => this.#data(piece),
    entryEnd: () => this.#finish(),
  });
  #entry: TarEntry | undefined;
  #hash: Hash | undefined;
  #digest = NONE;

  constructor(options: TarTreeListerOptions) {
    this.#options = options;
  }

  write(chunk: Buffer): void {
    this.#reader.write(chunk);
  }

  end(): void {
    this.#reader.end();
  }

  #begin(entry: TarEntry): void {
    this.#entry = entry;
    this.#hash = undefined;
    this.#digest = NONE;
  }

  #data(piece: Buffer): void {
    if (!this.#options.digests) return;
    if (piece.length === this.#entry?.size) {
      this.#digest = hash('sha256', piece, 'buffer');
      return;
    }
    this.#hash ??= createHash('sha256');
    this.#hash.update(piece);
  }

  #finish(): void {
    const entry = this.#entry;
    if (entry === undefined) return;
    const { path, type, mode, size, mtime_s, link } = entry;
    const data = type === 'file' ? this.#dataOf(size) : link;
    this.#options.onEntry({ path, type, mode, size, mtime_s, data });
  }

  #dataOf(size: number): Buffer {
    if (!this.#options.digests) return NONE;
    if (size === 0) return EMPTY_SHA256;
    return this.#hash?.digest() ?? this.#digest;
  }
}

const NONE: Buffer = Buffer.alloc(0);
const EMPTY_SHA256 = hash('sha256', '', 'buffer');
