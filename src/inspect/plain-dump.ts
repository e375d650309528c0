import type { DatabaseContents } from '../domain/manifest.ts';
import type { Inspector } from '../domain/ports.ts';
import { PlainDumpReader } from '../formats/dump/plain-dump-reader.ts';
import { DumpContents } from './dump-contents.ts';

/**
 * Derives the contents of a plain dump (`pg_dump`, `pg_dumpall --globals-only`, or `pg_restore -f -`) from its
 * bytes, in constant memory.
 */
export class PlainDumpInspector implements Inspector {
  readonly #contents = new DumpContents();
  readonly #reader = new PlainDumpReader(this.#contents);

  write(chunk: Buffer): void {
    this.#reader.write(chunk);
  }

  async end(): Promise<DatabaseContents> {
    this.#reader.end();
    return this.#contents.contents();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is held.
  }
}
