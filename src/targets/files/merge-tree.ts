import {
  chmodSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  futimesSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  type Stats,
} from 'node:fs';
import { OpenDirectory } from './open-directory.ts';
import { isPrivileged } from './privileges.ts';
import { codeOf, type RawPath, type SystemPath, systemPath } from './raw-path.ts';

export interface MergeOptions {
  /** Paths of directories that keep their mode and time where they are there already. */
  bystanders: ReadonlySet<RawPath>;
  /** Gives directories that are there already to the owners of those moved. */
  owners: boolean;
  /** Where directories, and what is in the way of some, are moved to; made when it is needed. */
  replaced: RawPath;
}

/**
 * Moves the entries of a tree into a directory, by renaming, without a stop: directories that are in both become
 * one, with the mode and time of the tree's; whatever else is in the way of an entry makes room for it. Links in
 * the directory are replaced and never followed. `moved` counts what is done, also when it throws.
 */
export class TreeMerge {
  readonly #options: MergeOptions;
  #moved = 0;
  #replaced = 0;

  constructor(options: MergeOptions) {
    this.#options = options;
  }

  /** How many entries were moved or changed. */
  get moved(): number {
    return this.#moved;
  }

  run(tree: RawPath, target: OpenDirectory): void {
    this.#mergeEntries(tree, target, '');
  }

  #mergeEntries(source: RawPath, target: OpenDirectory, below: RawPath): void {
    for (const name of readdirSync(systemPath(source), { encoding: 'latin1' }).sort()) {
      const from = `${source}/${name}`;
      const ours = lstatSync(systemPath(from));
      const theirs = lstatSync(target.at(name), { throwIfNoEntry: false });
      if (theirs?.isDirectory() === true && ours.isDirectory()) {
        this.#mergeDirectory(from, ours, theirs, target.at(name), `${below}${name}`);
        continue;
      }
      // rename(2) puts a file in the place of anything but a directory, and a directory in no other's. A directory
      // that is moved aside is empty: checkMerge refuses others.
      if (theirs !== undefined && (theirs.isDirectory() || ours.isDirectory())) {
        this.#moveAside(target.at(name), theirs);
      }
      moveEntry(systemPath(from), ours, target.at(name));
      this.#moved += 1;
    }
  }

  #mergeDirectory(from: RawPath, ours: Stats, theirs: Stats, at: SystemPath, path: RawPath): void {
    const isBystander = this.#options.bystanders.has(path);
    openUp(systemPath(from), ours);
    if (openUp(at, theirs)) this.#moved += 1;
    using inner = new OpenDirectory(at, 'nofollow');
    const before = fstatSync(inner.fd);
    this.#mergeEntries(from, inner, `${path}/`);
    rmdirSync(systemPath(from));
    const attributes = isBystander ? theirs : ours;
    if (this.#options.owners && !isBystander) fchownSync(inner.fd, ours.uid, ours.gid);
    if (before.mode !== attributes.mode || !isBystander) fchmodSync(inner.fd, attributes.mode & 0o7777);
    if (!isBystander) futimesSync(inner.fd, new Date(), ours.mtime);
    this.#moved += 1;
  }

  #moveAside(at: SystemPath, theirs: Stats): void {
    const { replaced } = this.#options;
    try {
      mkdirSync(systemPath(replaced), 0o700);
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    moveEntry(at, theirs, `${replaced}/${this.#replaced}`);
    this.#replaced += 1;
    this.#moved += 1;
  }
}

/** A directory gets another parent only from those who may write to it. */
function moveEntry(from: SystemPath, stat: Stats, to: SystemPath): void {
  const opened = stat.isDirectory() && openUp(from, stat);
  renameSync(from, to);
  if (opened) chmodSync(to, stat.mode & 0o7777);
}

/** Lets the owner of a directory change it; whether that was needed. Never for those whom modes do not stop. */
function openUp(at: SystemPath, { mode }: Stats): boolean {
  if (isPrivileged() || (mode & 0o700) === 0o700) return false;
  chmodSync(at, (mode & 0o7777) | 0o700);
  return true;
}
