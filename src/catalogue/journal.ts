import { type FileHandle, open, stat } from 'node:fs/promises';
import { toBackupError } from '../domain/errors.ts';
import { Histories } from '../domain/job-history.ts';
import { type JournalEntry, parseJournalLine, type RunStarted } from '../domain/journal-entry.ts';
import { linesBackwards } from '../lib/lines-backwards.ts';
import { linesForwards } from '../lib/lines-forwards.ts';
import { openOwnFile } from '../lib/owned-file.ts';
import { adoptFile, type Owner } from '../lib/ownership.ts';
import { readOpenRun } from './journal-tail.ts';

/** @param isRecorded false for one that could not be written and counts for this process only. */
export type JournalListener = (entry: JournalEntry, isRecorded: boolean) => void;

const READ_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

/**
 * The append-only record of runs. Several processes append to one file: each entry is one write in append
 * mode, so lines never mix; a line that a crash tore is closed by the next append and skipped by readers.
 */
export class Journal {
  readonly #path: string;
  readonly #owner: Owner;
  #read_bytes = 0;
  #size_bytes = 0;
  #inode = -1;
  #torn = 0;
  #histories = new Histories();
  /** Reads follow one another, or two at once would take in the same lines twice. */
  #reading: Promise<void> = Promise.resolve();
  #silent = false;
  readonly #listeners: JournalListener[] = [];

  constructor(path: string, owner: Owner) {
    this.#path = path;
    this.#owner = owner;
  }

  /** Called once for each entry in order, those of other processes too, as `refresh` meets them. */
  onEntry(listener: JournalListener): void {
    this.#listeners.push(listener);
  }

  /** The state of all jobs as of the last refresh. */
  get histories(): Histories {
    return this.#histories;
  }

  /** The runs and tasks that have a start and no end yet, as of the last refresh. */
  openRuns(): Set<string> {
    const names = this.#histories.names();
    return new Set(names.flatMap((name) => this.#histories.of(name).open.map(({ run }) => run)));
  }

  /** Entries with the newest first, from the end, or from before a place that an earlier reading told. */
  async *backwards(before?: number): AsyncGenerator<{ entry: JournalEntry; place: number }, void, undefined> {
    for await (const { line, offset } of linesBackwards(this.#path, before)) {
      const entry = parseJournalLine(line);
      if (entry !== undefined) yield { entry, place: offset };
    }
  }

  /** Entries with the oldest first, from a place that an earlier reading told; `place` is where the next begins. */
  async *forwards(from: number): AsyncGenerator<{ entry: JournalEntry; place: number }, void, undefined> {
    for await (const { line, end } of linesForwards(this.#path, from)) {
      const entry = parseJournalLine(line);
      if (entry !== undefined) yield { entry, place: end };
    }
  }

  /** Where an entry that is written next will begin; 0 where there is no journal yet. */
  async end(): Promise<number> {
    return (await stat(this.#path).catch(() => undefined))?.size ?? 0;
  }

  /** Lines that were no entries, as of the last refresh: torn by a crash, or written by something else. */
  get tornLines(): number {
    return this.#torn + (this.#read_bytes < this.#size_bytes ? 1 : 0);
  }

  /**
   * Durable when it resolves. When it cannot be written, the entry still counts for this process, so that a
   * failure on a full disk is seen in metrics and health; then the error is thrown.
   */
  async append(entry: JournalEntry): Promise<void> {
    try {
      await this.#write(entry);
    } catch (error) {
      this.#count(entry, false);
      throw toBackupError(error, `writing to ${this.#path}`);
    }
    if (this.#isFollowed()) await this.refresh();
  }

  /** Runs of a job that were started and have no end yet. Reads the end of the journal only, where nobody follows it. */
  async openRunsOf(job: string): Promise<readonly RunStarted[]> {
    if (!this.#isFollowed()) {
      const last = await readOpenRun(this.#path, job);
      return last === undefined ? [] : [last];
    }
    await this.refresh();
    return this.#histories.of(job).open;
  }

  /** Takes in what was appended since the last time, whoever wrote it. */
  refresh(): Promise<void> {
    const next = this.#reading.then(() => this.#catchUp());
    this.#reading = next.catch(() => undefined);
    return next;
  }

  /** Whether it is read as it grows. A command that takes a backup has no need of what was years ago. */
  #isFollowed(): boolean {
    return this.#inode !== -1 || this.#listeners.length > 0;
  }

  async #write(entry: JournalEntry): Promise<void> {
    const file = await openOwnFile(this.#path, this.#owner);
    try {
      const { size } = await file.stat();
      if (size === 0) await adoptFile(file, this.#owner);
      const separator = size === 0 || (await endsWithNewline(file, size)) ? '' : '\n';
      // One write where the disk has room; writeFile goes on after a short one, and so meets the error.
      await file.writeFile(`${separator}${JSON.stringify(entry)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async #catchUp(): Promise<void> {
    const found = await stat(this.#path).catch(() => undefined);
    if (found === undefined) return;
    if (found.ino !== this.#inode || found.size < this.#read_bytes) {
      // Replaced or cut by someone: read it anew, without telling the listeners of the same runs again.
      this.#silent = this.#inode !== -1;
      this.#inode = found.ino;
      this.#read_bytes = 0;
      this.#torn = 0;
      this.#histories = new Histories();
    }
    this.#size_bytes = found.size;
    if (found.size !== this.#read_bytes) await this.#readFrom(this.#read_bytes);
    this.#silent = false;
  }

  async #readFrom(offset: number): Promise<void> {
    const file = await open(this.#path, 'r');
    try {
      let rest: Buffer = Buffer.alloc(0);
      let position = offset;
      for (;;) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(READ_BYTES), 0, READ_BYTES, position);
        if (bytesRead === 0) return;
        position += bytesRead;
        const data = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
        const end = data.lastIndexOf(NEWLINE) + 1;
        for (const line of data.subarray(0, end).toString().split('\n')) this.#take(line);
        // A last line without its end may still be growing: it is read again next time.
        this.#read_bytes += end;
        rest = Buffer.from(data.subarray(end));
      }
    } finally {
      await file.close();
    }
  }

  #take(line: string): void {
    if (line === '') return;
    const entry = parseJournalLine(line);
    if (entry === undefined) {
      this.#torn += 1;
      return;
    }
    this.#count(entry, true);
  }

  #count(entry: JournalEntry, isRecorded: boolean): void {
    this.#histories.add(entry);
    if (this.#silent) return;
    for (const listener of this.#listeners) listener(entry, isRecorded);
  }
}

async function endsWithNewline(file: FileHandle, size: number): Promise<boolean> {
  const last = Buffer.alloc(1);
  await file.read(last, 0, 1, size - 1);
  return last[0] === NEWLINE;
}
