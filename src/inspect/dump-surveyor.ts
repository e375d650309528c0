import type { DumpSurvey } from '../domain/dump-survey.ts';
import type { RowCensus } from '../domain/row-census.ts';
import type { Contents, DatabaseContents } from '../domain/manifest.ts';
import type { DumpSurveyor, Inspector } from '../domain/ports.ts';
import { type CopyTarget, copyColumns } from '../formats/dump/copy-header.ts';
import { type PlainDumpHandler, PlainDumpReader, type UnitInfo } from '../formats/dump/plain-dump-reader.ts';
import { CustomDumpInspector, type CustomDumpOptions } from './custom-dump.ts';
import { DirectoryDumpInspector } from './directory-dump.ts';
import { DumpContents } from './dump-contents.ts';
import { SchemaSurvey } from './dump-schema.ts';
import { RowMultiset } from './row-multiset.ts';

/** Whether the digest that is the same in any order of the rows is wanted of a table. */
export type OfRows = (table: CopyTarget) => boolean;

/** Finds in a plain dump what a drill compares and what a restore needs, in memory that depends on no data. */
export class PlainDumpSurveyor implements DumpSurveyor {
  readonly #handler: SurveyHandler;
  readonly #reader: PlainDumpReader;
  #survey: DumpSurvey | undefined;

  constructor(ofRows: OfRows) {
    this.#handler = new SurveyHandler(ofRows);
    this.#reader = new PlainDumpReader(this.#handler);
  }

  write(chunk: Buffer): void {
    this.#reader.write(chunk);
  }

  async end(): Promise<DatabaseContents> {
    this.#reader.end();
    this.#survey = this.#handler.survey();
    return this.#survey.contents;
  }

  survey(): DumpSurvey {
    if (this.#survey === undefined) throw new Error('a dump was not read to its end');
    return this.#survey;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is held.
  }
}

/** The same of a dump in the custom or directory format, from what `pg_restore -f -` makes of it. */
export class ArchivedDumpSurveyor implements DumpSurveyor {
  readonly #plain: PlainDumpSurveyor;
  readonly #inspector: Inspector;

  constructor(format: keyof typeof INSPECTORS, options: CustomDumpOptions, ofRows: OfRows) {
    this.#plain = new PlainDumpSurveyor(ofRows);
    this.#inspector = new INSPECTORS[format](options, this.#plain);
  }

  async write(chunk: Buffer): Promise<void> {
    await this.#inspector.write(chunk);
  }

  async end(): Promise<Contents> {
    return await this.#inspector.end();
  }

  survey(): DumpSurvey {
    return this.#plain.survey();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inspector[Symbol.asyncDispose]();
  }
}

const INSPECTORS = { custom: CustomDumpInspector, directory: DirectoryDumpInspector } as const;

class SurveyHandler implements PlainDumpHandler {
  readonly #ofRows: OfRows;
  readonly #contents = new DumpContents();
  readonly #schema = new SchemaSurvey();
  readonly #multisets: (string | undefined)[] = [];
  readonly #censuses: (RowCensus | undefined)[] = [];
  #columns: readonly string[] = [];
  #multiset: RowMultiset | undefined;

  constructor(ofRows: OfRows) {
    this.#ofRows = ofRows;
  }

  unit(piece: Buffer, info: UnitInfo): void {
    this.#contents.unit(piece, info);
    this.#schema.unit(piece, info);
    if (info.kind === 'copy') this.#columns = copyColumns(piece);
  }

  copyStart(target: CopyTarget): void {
    this.#contents.copyStart(target);
    this.#schema.copy(target, this.#columns);
    this.#multiset = this.#ofRows(target) ? new RowMultiset(this.#columns) : undefined;
  }

  rows(piece: Buffer): void {
    this.#contents.rows(piece);
    this.#multiset?.add(piece);
  }

  copyEnd(): void {
    this.#contents.copyEnd();
    this.#multisets.push(this.#multiset?.digest());
    this.#censuses.push(this.#multiset?.census);
  }

  survey(): DumpSurvey {
    return {
      contents: this.#contents.contents(),
      multisets: this.#multisets,
      censuses: this.#censuses,
      sections: this.#schema.sections(),
      needs: this.#schema.needs(),
      schemas: this.#schema.schemas(),
      ...this.#schema.versions(),
    };
  }
}
