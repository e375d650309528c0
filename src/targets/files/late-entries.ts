import { linkSync, mkdirSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { assertSucceeded, runChild } from '../../lib/child.ts';
import { type Attributes, setAttributesAt, setLinkAttributesAt } from './attributes.ts';
import type { Pace } from './pace.ts';
import { codeOf, type RawPath, systemPath } from './raw-path.ts';
import { RecordFile } from './record-file.ts';

/** How many FIFOs one call of mkfifo makes. */
const FIFO_BATCH = 500;

type LateEntry =
  | { kind: 'symlink' | 'link'; path: RawPath; link: RawPath; attributes: Attributes }
  | { kind: 'fifo'; path: RawPath; attributes: Attributes };

/**
 * Symbolic links, FIFOs and further names of either, which are made after all else: while files are written
 * there is then no link in the tree that a path could pass through.
 */
export class LateEntries implements Disposable {
  readonly #tree: RawPath;
  readonly #fifoDirectory: RawPath;
  readonly #entries: RecordFile<LateEntry>;
  #fifos = 0;

  /** @param fifoDirectory a path where FIFOs may be made, on the file system of the tree. */
  constructor(tree: RawPath, fifoDirectory: RawPath, recordPath: string) {
    this.#tree = tree;
    this.#fifoDirectory = fifoDirectory;
    this.#entries = new RecordFile(recordPath);
  }

  add(entry: LateEntry): void {
    if (entry.kind === 'fifo') this.#fifos += 1;
    this.#entries.append(entry);
  }

  /** The directories above them must be there. */
  async make(pace: Pace, signal: AbortSignal): Promise<void> {
    await this.#makeFifos(signal);
    let fifo = 0;
    for (const entry of this.#entries.forward()) {
      if (pace.isDue) await pace.rest(signal);
      const at = systemPath(`${this.#tree}/${entry.path}`);
      switch (entry.kind) {
        case 'symlink':
          replacing(at, () => symlinkSync(systemPath(entry.link), at));
          setLinkAttributesAt(at, entry.attributes);
          break;
        case 'link':
          // link(2) does not follow a symbolic link: its second name is one as well.
          replacing(at, () => linkSync(systemPath(`${this.#tree}/${entry.link}`), at));
          break;
        case 'fifo':
          renameSync(`${this.#fifoDirectory}/${fifo}`, at);
          setAttributesAt(at, entry.attributes);
          fifo += 1;
          break;
        default:
          entry satisfies never;
      }
    }
  }

  [Symbol.dispose](): void {
    this.#entries[Symbol.dispose]();
  }

  /** node:fs makes none, and arguments of programs are text where names are bytes: they are renamed later. */
  async #makeFifos(signal: AbortSignal): Promise<void> {
    if (this.#fifos === 0) return;
    mkdirSync(this.#fifoDirectory, 0o700);
    for (let from = 0; from < this.#fifos; from += FIFO_BATCH) {
      const count = Math.min(FIFO_BATCH, this.#fifos - from);
      const names = Array.from({ length: count }, (_, index) => String(from + index));
      const result = await runChild({
        command: 'mkfifo',
        args: ['-m', '600', '--', ...names],
        env: { PATH: process.env['PATH'] },
        cwd: this.#fifoDirectory,
        signal,
      });
      assertSucceeded('mkfifo', result, result.stderr, signal);
    }
  }
}

/** Of several entries of one path the last counts. */
export function replacing(at: string | Buffer, make: () => void): void {
  try {
    make();
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    unlinkSync(at);
    make();
  }
}
