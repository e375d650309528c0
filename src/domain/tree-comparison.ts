import { SomeNames } from './some-names.ts';
import type { TreeEntry } from './tree-listing.ts';

/** How a tree differs from the one that was recorded. */
export interface TreeDifferences {
  /** `tree/a (missing)`, `tree/b (mode 0755 instead of 2755, data)`. */
  entries: SomeNames;
  /** Whether nothing but modes and times differ, which not every file system keeps. */
  onlyAttributes: boolean;
  /** Where the recorded tree is not in the order of a walk: the rest then says nothing. */
  disorder: string | undefined;
}

/**
 * Compares a tree with the one that was recorded, entry by entry and in constant memory. Both come in the order in
 * which a files archive is written: directory by directory, depth first, names by their bytes.
 */
export class TreeComparison {
  readonly #recorded: AsyncIterator<TreeEntry>;
  readonly #ranks: ReadonlyMap<string, number>;
  readonly #show: (path: Buffer) => string;
  readonly #entries = new SomeNames();
  #onlyAttributes = true;
  #disorder: string | undefined;
  #last: Buffer | undefined;
  /** The recorded entry that is due; undefined: to be fetched. */
  #due: TreeEntry | undefined;

  /**
   * @param directories the names at the top, in the order of the archive.
   * @param show makes a path readable for people.
   */
  constructor(
    recorded: AsyncIterator<TreeEntry>,
    directories: readonly string[],
    show: (path: Buffer) => string,
  ) {
    this.#recorded = recorded;
    this.#ranks = new Map(directories.map((name, rank) => [Buffer.from(name).toString('latin1'), rank]));
    this.#show = show;
  }

  /** Takes the next entry of the tree that is compared. */
  async found(entry: TreeEntry): Promise<void> {
    for (;;) {
      const recorded = await this.#peek();
      if (this.#disorder !== undefined) return;
      const order = recorded === undefined ? 1 : this.#compare(recorded.path, entry.path);
      if (order > 0 || recorded === undefined) {
        this.#add(entry.path, ['extra']);
        return;
      }
      this.#due = undefined;
      if (order === 0) {
        const { changes, onlyAttributes } = changesOf(recorded, entry, this.#show);
        if (changes.length > 0) this.#add(entry.path, changes, onlyAttributes);
        return;
      }
      this.#add(recorded.path, ['missing']);
    }
  }

  /** Once every entry was found. */
  async end(): Promise<TreeDifferences> {
    for (let left = await this.#peek(); left !== undefined; left = await this.#peek()) {
      if (this.#disorder !== undefined) break;
      this.#due = undefined;
      this.#add(left.path, ['missing']);
    }
    return { entries: this.#entries, onlyAttributes: this.#onlyAttributes, disorder: this.#disorder };
  }

  async #peek(): Promise<TreeEntry | undefined> {
    while (this.#due === undefined) {
      const next = await this.#recorded.next();
      if (next.done === true) return undefined;
      const { path } = next.value;
      const order = this.#last === undefined ? -1 : this.#compare(this.#last, path);
      if (order === 0) {
        this.#add(path, ['twice in the archive']);
        continue;
      }
      if (order > 0 && this.#last !== undefined) {
        this.#disorder ??= `${this.#show(path)} after ${this.#show(this.#last)}`;
      }
      this.#last = path;
      this.#due = next.value;
    }
    return this.#due;
  }

  #add(path: Buffer, changes: string[], onlyAttributes = false): void {
    this.#onlyAttributes &&= onlyAttributes;
    this.#entries.add(`${this.#show(path)} (${changes.join(', ')})`);
  }

  #compare(a: Buffer, b: Buffer): number {
    return this.#rankOf(a) - this.#rankOf(b) || compareWalked(a, b);
  }

  #rankOf(path: Buffer): number {
    const end = path.indexOf(SLASH);
    const top = path.toString('latin1', 0, end === -1 ? path.length : end);
    return this.#ranks.get(top) ?? this.#ranks.size;
  }
}

const SLASH = 0x2f;

/** By the bytes of each name: what lies in a directory comes right after it, before names that begin like its own. */
function compareWalked(a: Buffer, b: Buffer): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    if (a[at] === b[at]) continue;
    return weightOf(a[at]) - weightOf(b[at]);
  }
  return a.length - b.length;
}

function weightOf(byte = 0): number {
  return byte === SLASH ? -1 : byte;
}

function changesOf(recorded: TreeEntry, found: TreeEntry, show: (bytes: Buffer) => string) {
  const changes: string[] = [];
  const isOther = (what: string, now: string, before: string) => {
    if (now === before) return false;
    changes.push(`${what} ${now} instead of ${before}`);
    return true;
  };
  let onlyAttributes = true;
  if (isOther('type', found.type, recorded.type)) onlyAttributes = false;
  else if (isOther('size', `${found.size}`, `${recorded.size}`)) onlyAttributes = false;
  else if (!found.data.equals(recorded.data)) {
    onlyAttributes = false;
    if (found.type === 'file') changes.push('data');
    else isOther('link target', show(found.data), show(recorded.data));
  }
  isOther('mode', octal(found.mode), octal(recorded.mode));
  isOther('mtime', `${found.mtime_s}`, `${recorded.mtime_s}`);
  return { changes, onlyAttributes };
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, '0');
}
