import type { EntryChange, FilesDifference } from './diff.ts';
import type { TreeEntry } from './tree-listing.ts';

/** What stands for an entry of which both archives have been compared. */
const SEEN = '';
const NUL = '\0';

/**
 * Finds what tells two trees apart: every entry of the first, then every entry of the second. A path that an
 * archive holds twice, as none of cofre's does, counts with its first entry.
 *
 * An entry of the first tree is held as two flat strings of one byte a character, its path and its attributes:
 * the bytes of its path and about 130 more. 500,000 entries with paths of 59 bytes were measured at 95 MB.
 */
export class TreeDiff {
  readonly #entries = new Map<string, string>();
  readonly #difference: FilesDifference['paths'] = { added: [], removed: [], changed: [] };
  readonly #show: (path: Buffer) => string;

  /** @param show makes a path readable for people. */
  constructor(show: (path: Buffer) => string) {
    this.#show = show;
  }

  before(entry: TreeEntry): void {
    const path = entry.path.toString('latin1');
    if (!this.#entries.has(path)) this.#entries.set(path, attributesOf(entry));
  }

  after(entry: TreeEntry): void {
    const path = entry.path.toString('latin1');
    const earlier = this.#entries.get(path);
    if (earlier === SEEN) return;
    this.#entries.set(path, SEEN);
    if (earlier === undefined) this.#difference.added.push(this.#show(entry.path));
    else {
      const later = attributesOf(entry);
      if (later === earlier) return;
      this.#difference.changed.push({ path: this.#show(entry.path), changes: changesOf(earlier, later) });
    }
  }

  /** Once both trees were gone through. */
  result(): FilesDifference {
    for (const [path, attributes] of this.#entries) {
      if (attributes !== SEEN) this.#difference.removed.push(this.#show(Buffer.from(path, 'latin1')));
    }
    const { added, removed, changed } = this.#difference;
    return {
      identical: added.length + removed.length + changed.length === 0,
      paths: { added, removed, changed },
    };
  }
}

/** One flat string, which takes less room than an object, and far less than the rope that `+` makes. */
function attributesOf({ type, mode, size, mtime_s, data }: TreeEntry): string {
  const head = Buffer.from(`${type}${NUL}${mode}${NUL}${size}${NUL}${mtime_s}${NUL}`, 'latin1');
  return Buffer.concat([head, data]).toString('latin1');
}

function changesOf(before: string, after: string): EntryChange[] {
  const old = partsOf(before);
  const now = partsOf(after);
  const changes: EntryChange[] = [];
  if (old.type !== now.type) changes.push('type');
  else if (old.size !== now.size) changes.push('size');
  if (old.mode !== now.mode) changes.push('mode');
  if (old.mtime !== now.mtime) changes.push('mtime');
  if (old.type === now.type && old.data !== now.data) changes.push(now.type === 'file' ? 'data' : 'link');
  return changes;
}

function partsOf(attributes: string) {
  const [type = '', mode = '', size = '', mtime = ''] = attributes.split(NUL, 4);
  const data = attributes.slice(type.length + mode.length + size.length + mtime.length + 4);
  return { type, mode, size, mtime, data };
}
