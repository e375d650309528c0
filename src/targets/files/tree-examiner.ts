import type { ExtractOptions, TreeExaminer, TreePlan } from '../../domain/restore-ports.ts';
import { TarReader } from '../../formats/tar/tar-reader.ts';
import { EntryJudge } from './entry-judge.ts';
import type { ReplacementSurvey } from './replacement-survey.ts';

/** Finds what extracting would do and what of it is refused, without changing anything on any disk. */
export class ArchiveExaminer implements TreeExaminer {
  readonly #judge: EntryJudge;
  readonly #reader: TarReader;
  readonly #survey: ReplacementSurvey | undefined;

  /** @param survey of a target that is merged into. */
  constructor(options: ExtractOptions, survey?: ReplacementSurvey) {
    this.#judge = new EntryJudge(options);
    this.#survey = survey;
    this.#reader = new TarReader({
      entry: (entry) => {
        const judged = this.#judge.judge(entry);
        if (judged !== undefined) survey?.look(judged);
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
    const plan = this.#judge.end();
    return this.#survey === undefined ? plan : { ...plan, replacing: this.#survey.summary() };
  }
}
