/** One entry of a files archive. */
export interface TreeEntry {
  /** The member's bytes, without the slash that ends a directory. */
  path: Buffer;
  /** `file`, `directory`, `symlink`, `link` (a hard link), `fifo`, `character`, `block`. */
  type: string;
  /** The lower 12 bits. */
  mode: number;
  /** Bytes of data; 0 for all but files. */
  size: number;
  /** Whole seconds, rounded towards the past. */
  mtime_s: number | bigint;
  /** Of a file the SHA-256 of its data, where it was asked for; of links the bytes of the target; else empty. */
  data: Buffer;
}

/** Tells the entries of a files archive as its raw bytes pass by. */
export interface TreeLister {
  /** Throws ARCHIVE_CORRUPT when the bytes cannot be such an archive. */
  write(chunk: Buffer): void;
  /** Throws DUMP_EMPTY, DUMP_TRUNCATED or ARCHIVE_CORRUPT when the bytes ended before the archive did. */
  end(): void;
}

/** @param options.digests says whether the data of files is digested. */
export type OpenLister = (onEntry: (entry: TreeEntry) => void, options: { digests: boolean }) => TreeLister;
