import type { DumpSurvey } from '../domain/dump-survey.ts';
import { BackupError } from '../domain/errors.ts';
import type { Contents } from '../domain/manifest.ts';
import type { DumpSurveyor } from '../domain/ports.ts';
import { type CustomHeader, readCustomHeader } from '../formats/dump/custom-header.ts';

/** Gives `more` when the head goes on behind the bytes, undefined when they are no such dump. */
type ReadHead = (head: Buffer) => CustomHeader | 'more' | undefined;
/** @param toolVersion of the pg_dump that wrote the archive; undefined where its head does not say. */
type OpenKnown = (toolVersion: string | undefined) => Promise<DumpSurveyor>;

/**
 * Surveys a dump in the custom or directory format of which nothing is known, as one that lost its manifest: which
 * pg_restore can read it, its first bytes say.
 */
export class LateSurveyor implements DumpSurveyor {
  readonly #open: OpenKnown;
  readonly #readHead: ReadHead;
  #head: Buffer = Buffer.alloc(0);
  #inner: DumpSurveyor | undefined;

  constructor(open: OpenKnown, readHead: ReadHead = readCustomHeader) {
    this.#open = open;
    this.#readHead = readHead;
  }

  async write(chunk: Buffer): Promise<void> {
    if (this.#inner !== undefined) {
      await this.#inner.write(chunk);
      return;
    }
    this.#head = Buffer.concat([this.#head, chunk]);
    const header = this.#readHead(this.#head);
    if (header !== 'more') await this.#begin(header?.tool_version);
  }

  async end(): Promise<Contents> {
    return await (this.#inner ?? (await this.#begin(undefined))).end();
  }

  survey(): DumpSurvey {
    if (this.#inner !== undefined) return this.#inner.survey();
    throw new BackupError('INTERNAL', 'a dump was not read to its end before its survey was asked for');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner?.[Symbol.asyncDispose]();
  }

  async #begin(toolVersion: string | undefined): Promise<DumpSurveyor> {
    const inner = await this.#open(toolVersion);
    this.#inner = inner;
    const head = this.#head;
    this.#head = Buffer.alloc(0);
    await inner.write(head);
    return inner;
  }
}
