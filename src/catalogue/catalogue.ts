import { lstatSync, readdirSync, statSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { archiveKey, parseArchiveName } from '../domain/archive-name.ts';
import { BackupError, toBackupError } from '../domain/errors.ts';
import { ARCHIVE_TYPES, type Manifest, type ManifestSummary } from '../domain/manifest.ts';
import type { Store } from '../domain/ports.ts';
import { renameDurably, syncDirectory, writeAtomically } from '../lib/atomic-file.ts';
import type { Location } from './location.ts';
import { formatManifest, readManifest, readManifestSync } from './manifest-file.ts';

const MANIFEST_SUFFIX = '.json';
const DELETING_SUFFIX = '.json.deleting';
/** A directory changed this recently may change again within the same tick of its mtime. */
const RACY_MS = 100;
/** cofre changes manifests by renaming, which shows in the directory; a hand that edits one in place does not. */
const IN_PLACE_MS = 10_000;

interface Loaded {
  summary: ManifestSummary | undefined;
  fault: BackupError | undefined;
  mtime_ms: number;
  inode: number;
}

/**
 * All manifests of a location. The files are the truth, and other processes change them too: a view is
 * kept in memory and refreshed when the directory's mtime says that something was renamed in it.
 *
 * The life of one backup, each step durable before the next:
 *
 *   archive named → manifest written            = it is a backup
 *   manifest → `.json.deleting`                 = it no longer is
 *   archive unlinked → recorded → marker unlinked = it is gone
 */
export class Catalogue {
  readonly #location: Location;
  readonly #store: Store;
  readonly #loaded = new Map<string, Loaded>();
  #seenMtime_ms = -1;
  #lookedAt_ms = 0;
  #generation = 0;
  #sorted: ManifestSummary[] | undefined;

  constructor(location: Location, store: Store) {
    this.#location = location;
    this.#store = store;
  }

  /** Changes whenever the catalogue does, whoever changed it. */
  generation(): number {
    this.#refresh();
    return this.#generation;
  }

  /** Every backup, oldest first. */
  list(): readonly ManifestSummary[] {
    this.#refresh();
    this.#sorted ??= [...this.#loaded.values()].flatMap(({ summary }) => summary ?? []).sort(byAge);
    return this.#sorted;
  }

  /** The archives of one source, oldest first. */
  series(source: string): ManifestSummary[] {
    return this.list().filter((manifest) => manifest.source === source);
  }

  find(filename: string): ManifestSummary | undefined {
    this.#refresh();
    return this.#loaded.get(filename)?.summary;
  }

  /** Manifests that cannot be read: reported, and left alone. */
  faults(): BackupError[] {
    this.#refresh();
    return [...this.#loaded.values()].flatMap(({ fault }) => fault ?? []);
  }

  /** A whole manifest. Throws ARCHIVE_UNKNOWN or MANIFEST_CORRUPT. */
  async read(filename: string): Promise<Manifest> {
    if (parseArchiveName(filename) === undefined) throw unknownArchive(filename);
    try {
      return await readManifest(this.#location.manifestPath(filename), filename, this.#location.root);
    } catch (error) {
      // Of a location that is gone nobody may think that its archives were deleted.
      this.#location.manifestsChanged_ms();
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw unknownArchive(filename);
      throw toBackupError(error, `reading the manifest of ${filename}`);
    }
  }

  /** Whether anything on disk bears this name already, in whatever state. */
  async isTaken(filename: string): Promise<boolean> {
    const name = parseArchiveName(filename);
    const key = archiveKey(filename);
    if (name === undefined || key === undefined) return true;
    if ((await this.#store.stat(key)) !== undefined) return true;
    const leftovers = await this.#store.leftovers(name.type);
    if (leftovers.some((leftover) => leftover.filename === filename)) return true;
    const manifests = await readdir(this.#location.manifests);
    return manifests.includes(filename + MANIFEST_SUFFIX) || manifests.includes(filename + DELETING_SUFFIX);
  }

  /** Makes a committed archive a backup. */
  async add(manifest: Manifest, signal: AbortSignal): Promise<void> {
    await using _lock = await this.#location.lock('catalogue', signal);
    await this.#write(manifest);
  }

  /** Changes a manifest as it is on disk now. Throws ARCHIVE_UNKNOWN when it is gone. */
  async update(
    filename: string,
    change: (manifest: Manifest) => Manifest,
    signal: AbortSignal,
  ): Promise<Manifest> {
    await using _lock = await this.#location.lock('catalogue', signal);
    const changed = change(await this.read(filename));
    await this.#write(changed);
    return changed;
  }

  /**
   * Deletes a backup: from the first rename on it is none. `allow` sees the manifest as it is on disk, under
   * the lock, and throws to refuse. The marker stays until `dropMarkers`, which is called once the deletion is
   * recorded: whatever dies in between, a file that is gone is never without a marker or a record.
   */
  async remove(filename: string, allow: (manifest: Manifest) => void, signal: AbortSignal): Promise<void> {
    await using _lock = await this.#location.lock('catalogue', signal);
    allow(await this.read(filename));
    const path = this.#location.manifestPath(filename);
    const marker = join(this.#location.manifests, filename + DELETING_SUFFIX);
    await renameDurably(path, marker);
    this.#seenMtime_ms = -1;
    try {
      await this.#unlinkArchive(filename);
    } catch (error) {
      // What could not be deleted stays listed.
      if ((await this.#isStored(filename)) === true) await rename(marker, path);
      await syncDirectory(this.#location.manifests);
      throw toBackupError(error, `deleting ${filename}`);
    }
  }

  /** Filenames of the deletions that are under way, or that a crash interrupted. */
  async deletions(): Promise<string[]> {
    const names = await readdir(this.#location.manifests);
    return names
      .filter((name) => name.endsWith(DELETING_SUFFIX))
      .map((name) => name.slice(0, -DELETING_SUFFIX.length))
      .filter((filename) => parseArchiveName(filename) !== undefined);
  }

  /** Unlinks the archive of a deletion that a crash interrupted; its marker stays, as after `remove`. */
  async resumeDeletion(filename: string, signal: AbortSignal): Promise<void> {
    await using _lock = await this.#location.lock('catalogue', signal);
    try {
      if ((await this.deletions()).includes(filename)) await this.#unlinkArchive(filename);
    } catch (error) {
      throw toBackupError(error, `finishing the deletion of ${filename}`);
    }
  }

  /** Ends deletions whose archives are gone and which are recorded. */
  async dropMarkers(filenames: readonly string[], signal: AbortSignal): Promise<void> {
    if (filenames.length === 0) return;
    await using _lock = await this.#location.lock('catalogue', signal);
    for (const filename of filenames) {
      // Of an archive that is still there the marker is all that tells it from an orphan.
      if ((await this.#isStored(filename)) !== false) continue;
      await rm(join(this.#location.manifests, filename + DELETING_SUFFIX), { force: true });
    }
    await syncDirectory(this.#location.manifests);
  }

  /** Archives without a manifest: whatever they are, no backup. Reported, and left alone. */
  async orphans(): Promise<string[]> {
    const manifests = new Set(await readdir(this.#location.manifests));
    const orphans: string[] = [];
    for (const type of ARCHIVE_TYPES) {
      for (const { key } of await this.#store.list(type)) {
        const filename = key.slice(type.length + 1);
        if (manifests.has(filename + MANIFEST_SUFFIX) || manifests.has(filename + DELETING_SUFFIX)) continue;
        orphans.push(filename);
      }
    }
    return orphans.sort();
  }

  /** Whether an archive is stored, has no manifest and is not under deletion. */
  async isOrphan(filename: string): Promise<boolean> {
    const records = [MANIFEST_SUFFIX, DELETING_SUFFIX].map((suffix) => filename + suffix);
    const names = records.map((name) => join(this.#location.manifests, name));
    if (names.some((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined)) return false;
    return (await this.#isStored(filename)) === true;
  }

  /** Makes an orphan a backup again. Returns false, and changes nothing, when it is none any more. */
  async adopt(manifest: Manifest, signal: AbortSignal): Promise<boolean> {
    await using _lock = await this.#location.lock('catalogue', signal);
    if (!(await this.isOrphan(manifest.filename))) return false;
    await this.#write(manifest);
    return true;
  }

  async #isStored(filename: string): Promise<boolean | undefined> {
    const key = archiveKey(filename);
    if (key === undefined) return undefined;
    return await this.#store.stat(key).then(
      (object) => object !== undefined,
      () => undefined,
    );
  }

  async #unlinkArchive(filename: string): Promise<void> {
    const key = archiveKey(filename);
    if (key !== undefined) await this.#store.delete(key);
  }

  async #write(manifest: Manifest): Promise<void> {
    await writeAtomically(
      this.#location.manifestPath(manifest.filename),
      formatManifest(manifest),
      this.#location.owner,
    );
    this.#seenMtime_ms = -1;
  }

  /** Loads what is new or changed since the last look. Costs one stat when nothing is. */
  #refresh(): void {
    const directory = this.#location.manifests;
    const mtimeMs = this.#location.manifestsChanged_ms();
    const ticks_ms = performance.now();
    if (mtimeMs === this.#seenMtime_ms && ticks_ms - this.#lookedAt_ms < IN_PLACE_MS) return;
    this.#lookedAt_ms = ticks_ms;
    const names = new Set(readdirSync(directory).filter((name) => name.endsWith(MANIFEST_SUFFIX)));
    let changed = false;
    for (const filename of this.#loaded.keys()) {
      if (names.has(filename + MANIFEST_SUFFIX)) continue;
      this.#loaded.delete(filename);
      changed = true;
    }
    for (const name of names) changed = this.#load(directory, name) || changed;
    if (changed) {
      this.#generation += 1;
      this.#sorted = undefined;
    }
    this.#seenMtime_ms = Date.now() - mtimeMs > RACY_MS ? mtimeMs : -1;
  }

  /** Returns whether the file differs from what was loaded of it. */
  #load(directory: string, name: string): boolean {
    const filename = name.slice(0, -MANIFEST_SUFFIX.length);
    // Not by `join`, which takes half as long as reading the file.
    const path = `${directory}/${name}`;
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return this.#loaded.delete(filename);
    const known = this.#loaded.get(filename);
    // Every change comes by rename, so it has an inode of its own even within one tick of the clock.
    if (known !== undefined && known.mtime_ms === stats.mtimeMs && known.inode === stats.ino) return false;
    const loaded: Loaded = {
      summary: undefined,
      fault: undefined,
      mtime_ms: stats.mtimeMs,
      inode: stats.ino,
    };
    try {
      const { contents: _, ...summary } = readManifestSync(path, filename, this.#location.root);
      loaded.summary = summary;
    } catch (error) {
      loaded.fault = unreadable(filename, error);
    }
    this.#loaded.set(filename, loaded);
    return true;
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

function unknownArchive(filename: string): BackupError {
  return new BackupError('ARCHIVE_UNKNOWN', `there is no backup named ${JSON.stringify(filename)}`, {
    path: filename,
    hint: '`cofre list` shows the filenames of all backups.',
  });
}

function byAge(a: ManifestSummary, b: ManifestSummary): number {
  if (a.timestamp !== b.timestamp) return a.timestamp < b.timestamp ? -1 : 1;
  return a.filename < b.filename ? -1 : 1;
}
