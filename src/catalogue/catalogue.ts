import { lstatSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { archiveKey, parseArchiveName } from '../domain/archive-name.ts';
import { BackupError, toBackupError } from '../domain/errors.ts';
import { ARCHIVE_TYPES, type Manifest, type ManifestSummary } from '../domain/manifest.ts';
import type { Store } from '../domain/ports.ts';
import { renameDurably, syncDirectory, writeAtomically } from '../lib/atomic-file.ts';
import { Additions } from './additions.ts';
import type { Location } from './location.ts';
import { formatManifest, MANIFEST_SUFFIX, readManifest } from './manifest-file.ts';
import { ManifestView } from './manifest-view.ts';

const DELETING_SUFFIX = '.json.deleting';

/**
 * All manifests of a location. The files are the truth, and other processes change them too: what is in memory is a
 * view that looks again, see ManifestView.
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
  readonly #view: ManifestView;
  readonly #additions: Additions;

  /** @param once It is looked at one time only, by a command that shows what there is and ends. */
  constructor(location: Location, store: Store, options: { once?: boolean } = {}) {
    this.#location = location;
    this.#store = store;
    this.#view = new ManifestView(location, options);
    this.#additions = new Additions(location);
  }

  /** Changes whenever the catalogue does, whoever changed it. */
  generation(): number {
    return this.#view.generation();
  }

  /** Changes when `generation` did because a manifest was changed, by cofre or by hand, rather than added or removed. */
  replacements(): number {
    return this.#view.replacements();
  }

  /** Every backup, oldest first. */
  list(): readonly ManifestSummary[] {
    return this.#view.list();
  }

  /** The archives of one source, oldest first. */
  series(source: string): ManifestSummary[] {
    return this.list().filter((manifest) => manifest.source === source);
  }

  /** The last of a series, without a look at the others: a run asks for no more. */
  latest(source: string): ManifestSummary | undefined {
    return this.#view.latest(source);
  }

  find(filename: string): ManifestSummary | undefined {
    return this.#view.find(filename);
  }

  /** Manifests that cannot be read: reported, and left alone. */
  faults(): BackupError[] {
    return this.#view.faults();
  }

  /** See Additions. */
  get additions(): Additions {
    return this.#additions;
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
    const key = archiveKey(filename);
    return key === undefined || (await this.#store.isTaken(key)) || this.#hasRecord(filename);
  }

  /** Makes a committed archive a backup. */
  async add(manifest: Manifest, signal: AbortSignal): Promise<void> {
    await using _lock = await this.#location.lock('catalogue', signal);
    await this.#additions.noting(manifest, () => this.#write(manifest));
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
    this.#forget();
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
    return !this.#hasRecord(filename) && (await this.#isStored(filename)) === true;
  }

  /** Makes an orphan a backup again. Returns false, and changes nothing, when it is none any more. */
  async adopt(manifest: Manifest, signal: AbortSignal): Promise<boolean> {
    await using _lock = await this.#location.lock('catalogue', signal);
    if (!(await this.isOrphan(manifest.filename))) return false;
    await this.#write(manifest);
    return true;
  }

  /** Whether there is a manifest of this archive, or what a deletion made of it. */
  #hasRecord(filename: string): boolean {
    const records = [MANIFEST_SUFFIX, DELETING_SUFFIX].map((suffix) => filename + suffix);
    const paths = records.map((name) => join(this.#location.manifests, name));
    return paths.some((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined);
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

  /** This process has changed something. */
  #forget(): void {
    this.#view.forget();
    this.#additions.forget();
  }

  async #write(manifest: Manifest): Promise<void> {
    await writeAtomically(
      this.#location.manifestPath(manifest.filename),
      formatManifest(manifest),
      this.#location.owner,
    );
    this.#forget();
  }
}

function unknownArchive(filename: string): BackupError {
  return new BackupError('ARCHIVE_UNKNOWN', `there is no backup named ${JSON.stringify(filename)}`, {
    path: filename,
    hint: '`cofre list` shows the filenames of all backups.',
  });
}
