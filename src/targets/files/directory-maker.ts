import { lstatSync, mkdirSync } from 'node:fs';
import { type Attributes, setAttributesAt } from './attributes.ts';
import type { Pace } from './pace.ts';
import { codeOf, parentOf, type RawPath, systemPath } from './raw-path.ts';
import { RecordFile } from './record-file.ts';

/** Whatever a directory's mode will be, it is filled first. */
const FILLING_MODE = 0o700;

interface MadeDirectory {
  path: RawPath;
  /** Undefined where the archive says nothing of it: it gets the mode of any new directory. */
  attributes?: Attributes;
}

/**
 * Makes the directories of a tree, and gives them their modes and times at the end, when nothing is put into them
 * any more.
 */
export class DirectoryMaker implements Disposable {
  readonly #tree: RawPath;
  readonly #made: RecordFile<MadeDirectory>;
  /** Those on the way to the current entry that are not chosen, to be made as soon as something below is. */
  readonly #passed: MadeDirectory[] = [];
  readonly #bystanders = new Set<RawPath>();
  /** Whether each directory was recorded once, before what is below it: so it is wherever a walk wrote the archive. */
  #inOrder = true;

  constructor(tree: RawPath, recordPath: string) {
    this.#tree = tree;
    this.#made = new RecordFile(recordPath);
  }

  /** Directories made only because something below was chosen: one that is there already stays as it is. */
  get bystanders(): ReadonlySet<RawPath> {
    return this.#bystanders;
  }

  make(path: RawPath, attributes: Attributes): void {
    if (path === '') return;
    if (!this.#mkdir(path)) {
      this.#inOrder = false;
      this.#bystanders.delete(path);
    }
    this.#made.append({ path, attributes });
  }

  /** A directory that is not chosen. */
  pass(path: RawPath, attributes: Attributes): void {
    for (let last = this.#passed.at(-1); last !== undefined; last = this.#passed.at(-1)) {
      if (path.startsWith(`${last.path}/`)) break;
      this.#passed.pop();
    }
    this.#passed.push({ path, attributes });
  }

  /** Makes the directories above a path that are not there. */
  makeParents(path: RawPath): void {
    const parent = parentOf(path);
    if (parent === '' || !this.#mkdir(parent)) return;
    this.#bystanders.add(parent);
    const known = this.#passed.find((passed) => passed.path === parent);
    this.#made.append(known ?? { path: parent });
  }

  /** Deepest first: a directory that may not be entered any more has nothing left to be done below it. */
  async finish(pace: Pace, signal: AbortSignal): Promise<void> {
    const mode = lstatSync(this.#tree).mode & 0o777;
    for (const { path, attributes } of this.#inOrder ? this.#made.backward() : this.#sorted()) {
      if (pace.isDue) await pace.rest(signal);
      const at = systemPath(`${this.#tree}/${path}`);
      setAttributesAt(at, attributes ?? { mode, mtime_s: Math.floor(Date.now() / 1_000) });
    }
  }

  [Symbol.dispose](): void {
    this.#made[Symbol.dispose]();
  }

  /** Whether it was not there; those above it are made as well. */
  #mkdir(path: RawPath): boolean {
    const at = systemPath(`${this.#tree}/${path}`);
    try {
      mkdirSync(at, FILLING_MODE);
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      if (codeOf(error) !== 'ENOENT' || parentOf(path) === '') throw error;
    }
    this.makeParents(path);
    mkdirSync(at, FILLING_MODE);
    return true;
  }

  /** Of several records of one directory the last counts, and those deepest come first. */
  #sorted(): MadeDirectory[] {
    const last = new Map<RawPath, MadeDirectory>();
    for (const made of this.#made.forward()) last.set(made.path, made);
    const depth = ({ path }: MadeDirectory) => path.split('/').length;
    return [...last.values()].sort((a, b) => depth(b) - depth(a));
  }
}
