import type { ExtractOptions, TreeExaminer, TreePlan } from '../../domain/restore-ports.ts';
import { TarReader } from '../../formats/tar/tar-reader.ts';
import { EntryJudge } from './entry-judge.ts';

/** Finds what extracting would do and what of it is refused, without touching any disk. */
export class ArchiveExaminer implements TreeExaminer {
  readonly #judge: EntryJudge;
  readonly #reader: TarReader;

  constructor(options: ExtractOptions) {
    this.#judge = new EntryJudge(options);
    this.#reader = new TarReader({
      entry: (entry) => {
        this.#judge.judge(entry);
      },
      data: () => undefined,
      entryEnd: () => undefined,
    });
  }

  /** Throws ARCHIVE_CORRUPT. */
  write(chunk: Buffer): void {
    this.#reader.write(chunk);
  }

  /** Throws USAGE when a glob matches nothing, and what TarReader throws of an archive that is cut short. */
  end(): TreePlan {
    this.#reader.end();
    return this.#judge.end();
  }
}
