import { BackupError } from '../../domain/errors.ts';
import { type TarEntry, TarReader } from '../tar/tar-reader.ts';

/** The table of contents of a dump in the directory format: the first of its files. */
export const TOC_NAME = 'toc.dat';
/** What pg_dump calls the others, uncompressed: data of a table, a large object, a list of large objects. */
const DATA_NAME = /^(?:\d+\.dat|blob_\d+\.dat|blobs(?:_\d+)?\.toc)$/;
const TOP_NAME = /^[a-z0-9][a-z0-9_-]*\.dir$/;

/** Called in the order of the archive. Data comes in pieces that are valid during the call only. */
export interface DirectoryArchiveHandler {
  /** @param name of a file, without a directory. @param size in bytes. */
  file(name: string, size: number): void;
  data(piece: Buffer): void;
  fileEnd(): void;
}

/**
 * Reads the tar of a dump in the directory format as it comes: one directory, and in it the files of pg_dump, the
 * table of contents first. Throws ARCHIVE_UNSAFE for any other entry, which pg_dump never writes, and what TarReader
 * throws.
 */
export class DirectoryArchiveReader {
  readonly #handler: DirectoryArchiveHandler;
  readonly #tar = new TarReader({
    entry: (entry) => this.#entry(entry),
    data: (piece) => this.#handler.data(piece),
    entryEnd: () => {
      if (this.#isInFile) this.#handler.fileEnd();
      this.#isInFile = false;
    },
  });
  /** With its slash. */
  #top: string | undefined;
  #hasToc = false;
  #isInFile = false;

  constructor(handler: DirectoryArchiveHandler) {
    this.#handler = handler;
  }

  write(chunk: Buffer): void {
    this.#tar.write(chunk);
  }

  /** Throws DUMP_EMPTY, DUMP_TRUNCATED or ARCHIVE_CORRUPT unless all of it was read. */
  end(): void {
    this.#tar.end();
    if (this.#hasToc) return;
    throw new BackupError('DUMP_EMPTY', 'the archive holds no table of contents', {
      hint: 'Do not rely on this archive: restore from another one, and take a new backup.',
    });
  }

  #entry({ path, type, size }: TarEntry): void {
    const text = path.toString('latin1');
    if (this.#top === undefined) {
      if (type !== 'directory' || !TOP_NAME.test(text)) throw unsafe(text);
      this.#top = `${text}/`;
      return;
    }
    const name = text.slice(this.#top.length);
    const isExpected = this.#hasToc ? DATA_NAME.test(name) : name === TOC_NAME;
    if (type !== 'file' || !text.startsWith(this.#top) || !isExpected) throw unsafe(text);
    this.#hasToc = true;
    this.#isInFile = true;
    this.#handler.file(name, size);
  }
}

function unsafe(path: string): BackupError {
  return new BackupError(
    'ARCHIVE_UNSAFE',
    `the archive holds ${JSON.stringify(path.slice(0, 200))}, which has no place in a dump in the directory format`,
    { hint: 'Somebody changed the archive after it was written: find out who, and restore another one.' },
  );
}
