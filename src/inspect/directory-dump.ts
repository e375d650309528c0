import type { DatabaseContents } from '../domain/manifest.ts';
import type { Inspector } from '../domain/ports.ts';
import { DirectoryArchiveReader } from '../formats/dump/directory-archive.ts';
import { endOfTar, memberHeader, memberPadding } from '../formats/tar/tar-member.ts';
import { CustomDumpInspector, type CustomDumpOptions, type PlainReading } from './custom-dump.ts';
import { PlainDumpInspector } from './plain-dump.ts';

/**
 * Derives the contents of a dump in the directory format from what `pg_restore -f -` makes of it, while its tar
 * passes by, in constant memory and without a copy on disk: the files of such a dump are those of pg_dump's own tar
 * format, which pg_restore reads from a pipe when they come in the order of their table of contents. They lie below a
 * directory here, which pg_restore does not expect: it gets the same files with headers of their own.
 *
 * Source: PostgreSQL's src/bin/pg_dump/pg_backup_directory.c ("The directory is compatible with 'tar'").
 */
export class DirectoryDumpInspector implements Inspector {
  readonly #tar: CustomDumpInspector;
  readonly #reader: DirectoryArchiveReader;
  /** For pg_restore, as long as the chunk under way is valid. */
  #out: Buffer[] = [];

  constructor(options: CustomDumpOptions, plain: PlainReading = new PlainDumpInspector()) {
    this.#tar = new CustomDumpInspector({ ...options, format: 'tar' }, plain);
    let padding: Buffer;
    this.#reader = new DirectoryArchiveReader({
      file: (name, size) => {
        this.#out.push(memberHeader(name, size));
        padding = memberPadding(size);
      },
      data: (piece) => this.#out.push(piece),
      fileEnd: () => this.#out.push(padding),
    });
  }

  async write(chunk: Buffer): Promise<void> {
    this.#out = [];
    this.#reader.write(chunk);
    for (const piece of this.#out) await this.#tar.write(piece);
  }

  async end(): Promise<DatabaseContents> {
    this.#reader.end();
    await this.#tar.write(endOfTar());
    return await this.#tar.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tar[Symbol.asyncDispose]();
  }
}
