import { closeSync, constants, ftruncateSync, linkSync, openSync, writeSync } from 'node:fs';
import type { TarEntry } from '../../formats/tar/tar-reader.ts';
import { type Attributes, attributesOf, setAttributesOf } from './attributes.ts';
import { DirectoryMaker } from './directory-maker.ts';
import type { Judged } from './entry-judge.ts';
import { LateEntries, replacing } from './late-entries.ts';
import type { OwnerNumbers } from './owner-numbers.ts';
import type { Pace } from './pace.ts';
import { codeOf, type RawPath, systemPath } from './raw-path.ts';

/** Never what is there already, and never through a link. */
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** Pieces of data of this size and more that are all zeros take no space. */
const HOLE_MIN_BYTES = 4_096;
const ZEROS = Buffer.alloc(65_536);

interface OpenFile {
  fd: number;
  written: number;
  /** Whether the end was not written, because it is zeros. */
  endsInHole: boolean;
  attributes: Attributes;
}

/** Where a tree is written, each a path in this process. */
export interface TreePlaces {
  /** The directory that becomes the target, empty. */
  tree: RawPath;
  /** Two files and a directory that do not exist, on the same file system. */
  directoryRecords: string;
  lateRecords: string;
  fifos: RawPath;
}

/**
 * Writes entries that were judged to be harmless into an empty directory that nobody else can reach. Writing is
 * synchronous: the data of an entry is valid during a call only, and for small files it is several times as fast.
 */
export class TreeWriter implements Disposable {
  readonly #tree: RawPath;
  readonly #owners: OwnerNumbers | undefined;
  readonly #directories: DirectoryMaker;
  readonly #late: LateEntries;
  #file: OpenFile | undefined;

  /** @param owners undefined: entries stay ours. */
  constructor(places: TreePlaces, owners: OwnerNumbers | undefined) {
    this.#tree = places.tree;
    this.#owners = owners;
    this.#directories = new DirectoryMaker(places.tree, places.directoryRecords);
    this.#late = new LateEntries(places.tree, places.fifos, places.lateRecords);
  }

  /** Directories made only because something below was chosen. */
  get bystanders(): ReadonlySet<RawPath> {
    return this.#directories.bystanders;
  }

  begin(entry: TarEntry, { path, made, link, chosen }: Judged): void {
    if (!chosen && made !== 'directory') return;
    const attributes = attributesOf(entry, this.#owners);
    if (made === 'directory') {
      if (chosen) this.#directories.make(path, attributes);
      else this.#directories.pass(path, attributes);
    } else if (made === 'file') {
      if (entry.type === 'link') this.#link(path, link);
      else this.#open(path, attributes);
    } else if (entry.type === 'link') {
      this.#late.add({ kind: 'link', path, link, attributes });
    } else if (made === 'symlink') {
      this.#late.add({ kind: 'symlink', path, link, attributes });
    } else {
      this.#late.add({ kind: 'fifo', path, attributes });
    }
    // One that waits has its parents now, in the order of the archive.
    if (made === 'symlink' || made === 'fifo') this.#directories.makeParents(path);
  }

  data(piece: Buffer): void {
    const file = this.#file;
    if (file === undefined) return;
    if (piece.length >= HOLE_MIN_BYTES && isZeros(piece)) {
      file.written += piece.length;
      file.endsInHole = true;
      return;
    }
    file.endsInHole = false;
    for (let done = 0; done < piece.length; ) {
      const count = writeSync(file.fd, piece, done, piece.length - done, file.written);
      file.written += count;
      done += count;
    }
  }

  end(): void {
    const file = this.#file;
    if (file === undefined) return;
    if (file.endsInHole) ftruncateSync(file.fd, file.written);
    setAttributesOf(file.fd, file.attributes);
    this.#file = undefined;
    closeSync(file.fd);
  }

  /** Once every entry has passed: makes the links, and gives directories their modes and times. */
  async finish(pace: Pace, signal: AbortSignal): Promise<void> {
    await this.#late.make(pace, signal);
    await this.#directories.finish(pace, signal);
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    this.#file = undefined;
    this.#late[Symbol.dispose]();
    this.#directories[Symbol.dispose]();
  }

  #open(path: RawPath, attributes: Attributes): void {
    const at = systemPath(`${this.#tree}/${path}`);
    const open = () => {
      const fd = openSync(at, NEW_FILE, 0o600);
      this.#file = { fd, written: 0, endsInHole: false, attributes };
    };
    this.#withParents(path, () => replacing(at, open));
  }

  #link(path: RawPath, first: RawPath): void {
    const at = systemPath(`${this.#tree}/${path}`);
    const make = () => linkSync(systemPath(`${this.#tree}/${first}`), at);
    this.#withParents(path, () => replacing(at, make));
  }

  #withParents(path: RawPath, make: () => void): void {
    try {
      make();
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      this.#directories.makeParents(path);
      make();
    }
  }
}

function isZeros(piece: Buffer): boolean {
  for (let at = 0; at < piece.length; at += ZEROS.length) {
    const end = Math.min(piece.length, at + ZEROS.length);
    if (piece.compare(ZEROS, 0, end - at, at, end) !== 0) return false;
  }
  return true;
}
