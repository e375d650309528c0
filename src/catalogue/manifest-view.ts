import { readdirSync, statSync } from 'node:fs';
import { BackupError, toBackupError } from '../domain/errors.ts';
import type { ManifestSummary } from '../domain/manifest.ts';
import { byAge } from './by-age.ts';
import type { Location } from './location.ts';
import { MANIFEST_SUFFIX, readManifestSync } from './manifest-file.ts';
import { newestName } from './newest-name.ts';

/** A directory changed this recently may change again within the same tick of its mtime. */
export const RACY_MS = 100;
/** cofre changes manifests by renaming, which shows in the directory; a hand that edits one in place does not. */
const IN_PLACE_MS = 10_000;

interface Read {
  summary: ManifestSummary | undefined;
  fault: BackupError | undefined;
}

interface Loaded extends Read {
  mtime_ms: number;
  inode: number;
}

/** What the manifests of a location say, refreshed when the directory's mtime says that something was renamed in it. */
export class ManifestView {
  readonly #location: Location;
  readonly #once: boolean;
  /** By the names of their files. */
  readonly #loaded = new Map<string, Loaded>();
  #seenMtime_ms = -1;
  #lookedAt_ms = 0;
  #generation = 0;
  #replacements = 0;
  #sorted: ManifestSummary[] | undefined;

  /** @param once It is looked at one time only: what tells a manifest from its next version is not asked for. */
  constructor(location: Location, { once = false }: { once?: boolean } = {}) {
    this.#location = location;
    this.#once = once;
  }

  generation(): number {
    this.#refresh();
    return this.#generation;
  }

  /** How often a look, up to the last one, found other content where a manifest was known. Does not look itself. */
  replacements(): number {
    return this.#replacements;
  }

  list(): readonly ManifestSummary[] {
    this.#refresh();
    this.#sorted ??= this.#summaries().sort(byAge);
    return this.#sorted;
  }

  find(filename: string): ManifestSummary | undefined {
    this.#refresh();
    return this.#loaded.get(filename + MANIFEST_SUFFIX)?.summary;
  }

  faults(): BackupError[] {
    this.#refresh();
    return [...this.#loaded.values()].flatMap(({ fault }) => fault ?? []);
  }

  /** Reads no manifest but this one, and keeps nothing. */
  latest(source: string): ManifestSummary | undefined {
    const directory = this.#location.manifests;
    // Of a location that is gone nobody may think that it is empty.
    this.#location.manifestsChanged_ms();
    let names = readdirSync(directory);
    for (;;) {
      const name = newestName(names, source);
      if (name === undefined) return undefined;
      const summary = this.#read(directory, name)?.summary;
      if (summary !== undefined) return summary;
      names = names.filter((other) => other !== name);
    }
  }

  /** The next look is at everything: this process has changed something. */
  forget(): void {
    this.#seenMtime_ms = -1;
  }

  /** Loads what is new or changed since the last look. Costs one stat when nothing is. */
  #refresh(): void {
    if (this.#once && this.#generation > 0) return;
    const directory = this.#location.manifests;
    const mtimeMs = this.#location.manifestsChanged_ms();
    // Node loads its clock with the first look at it, which a command that looks one time can do without.
    const ticks_ms = this.#once ? 0 : performance.now();
    if (mtimeMs === this.#seenMtime_ms && ticks_ms - this.#lookedAt_ms < IN_PLACE_MS) return;
    this.#lookedAt_ms = ticks_ms;
    const names = readdirSync(directory).filter((name) => name.endsWith(MANIFEST_SUFFIX));
    // By source and age: what is loaded later comes behind them, so that sorting by age finds it nearly sorted.
    if (this.#loaded.size === 0) names.sort();
    let changed = false;
    let present = 0;
    for (const name of names) {
      changed = this.#load(directory, name) || changed;
      if (this.#loaded.has(name)) present += 1;
    }
    if (this.#loaded.size > present) {
      this.#keepOnly(new Set(names));
      changed = true;
    }
    if (changed) {
      this.#generation += 1;
      this.#sorted = undefined;
    }
    this.#seenMtime_ms = Date.now() - mtimeMs > RACY_MS ? mtimeMs : -1;
  }

  #summaries(): ManifestSummary[] {
    const summaries: ManifestSummary[] = [];
    for (const { summary } of this.#loaded.values()) if (summary !== undefined) summaries.push(summary);
    return summaries;
  }

  #keepOnly(names: ReadonlySet<string>): void {
    for (const name of this.#loaded.keys()) if (!names.has(name)) this.#loaded.delete(name);
  }

  /** Returns whether the file differs from what was loaded of it. */
  #load(directory: string, name: string): boolean {
    if (this.#once) {
      const read = this.#read(directory, name);
      if (read !== undefined) this.#loaded.set(name, { ...read, mtime_ms: 0, inode: 0 });
      return true;
    }
    const stats = statSync(`${directory}/${name}`, { throwIfNoEntry: false });
    if (stats === undefined) return this.#loaded.delete(name);
    const known = this.#loaded.get(name);
    // Every change comes by rename, so it has an inode of its own even within one tick of the clock.
    if (known !== undefined && known.mtime_ms === stats.mtimeMs && known.inode === stats.ino) return false;
    const read = this.#read(directory, name);
    if (read === undefined) return this.#loaded.delete(name);
    this.#loaded.set(name, { ...read, mtime_ms: stats.mtimeMs, inode: stats.ino });
    if (known !== undefined) this.#replacements += 1;
    return true;
  }

  /** Undefined when it is gone: somebody deletes it just now. */
  #read(directory: string, name: string): Read | undefined {
    const filename = name.slice(0, -MANIFEST_SUFFIX.length);
    try {
      // The path not by `join`, which takes half as long as reading the file.
      const manifest = readManifestSync(`${directory}/${name}`, filename, this.#location.root);
      const { contents: _, ...summary } = manifest;
      return { summary, fault: undefined };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      return { summary: undefined, fault: unreadable(filename, error) };
    }
  }
}

/** Always MANIFEST_CORRUPT with the archive's filename as its path, whatever stood in the way. */
function unreadable(filename: string, error: unknown): BackupError {
  if (error instanceof BackupError) return error;
  const { message } = toBackupError(error);
  return new BackupError('MANIFEST_CORRUPT', `the manifest of ${filename} cannot be read: ${message}`, {
    path: filename,
    hint: 'The archive itself is untouched and restores by hand. Look at what lies in place of its manifest.',
    cause: error,
  });
}
