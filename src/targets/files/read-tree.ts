import { createHash, type Hash } from 'node:crypto';
import {
  accessSync,
  type BigIntStats,
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import { toBackupError } from '../../domain/errors.ts';
import type { FilesContents } from '../../domain/manifest.ts';
import type { ReadTree } from '../../domain/restore-ports.ts';
import type { TreeEntry } from '../../domain/tree-listing.ts';
import { Pace } from './pace.ts';
import { codeOf, rawPath, type RawPath, type SystemPath, systemPath } from './raw-path.ts';

const READ_BYTES = 262_144;
const READ_FILE = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const NS_PER_S = 1_000_000_000n;

/**
 * Computes the contents of a tree from the disk, with no code that packs or reads archives: depth first, names by
 * their bytes, one line an entry, see docs/format.md. Of a file with several names the first met is the file and
 * the others are links to it. Sockets are in no archive and passed over; a directory that is not there has no
 * entries. Modes that keep us from reading are changed while it is read. Throws IO_FAILED.
 */
export const readTree: ReadTree = async (root, directories, signal, onEntry) => {
  const reading = new TreeReading(signal, onEntry);
  try {
    for (const directory of directories) await reading.read(rawPath(root), rawPath(directory));
  } catch (error) {
    signal.throwIfAborted();
    throw toBackupError(error, 'reading what was extracted');
  }
  return reading.contents();
};

/** A directory under way: its names, sorted, and how far the walk is. */
interface Frame {
  path: RawPath;
  member: RawPath;
  names: RawPath[];
  next: number;
  /** To be given back. */
  mode: number | undefined;
}

class TreeReading {
  readonly #signal: AbortSignal;
  readonly #onEntry: ((entry: TreeEntry) => Promise<void>) | undefined;
  readonly #pace = new Pace();
  readonly #digest = createHash('sha256');
  readonly #buffer = Buffer.allocUnsafe(READ_BYTES);
  /** Of each inode whose names were not all met yet. */
  readonly #firsts = new Map<string, { member: RawPath; namesLeft: bigint }>();
  #entries = 0;
  #bytes = 0;

  constructor(signal: AbortSignal, onEntry: ((entry: TreeEntry) => Promise<void>) | undefined) {
    this.#signal = signal;
    this.#onEntry = onEntry;
  }

  contents(): FilesContents {
    const digest = this.#digest.digest('hex');
    return { entries: this.#entries, bytes: this.#bytes, digest, changed: [], incomplete: [] };
  }

  async read(root: RawPath, directory: RawPath): Promise<void> {
    const stack: Frame[] = [];
    await this.#visit(`${root}/${directory}`, directory, stack);
    for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
      const name = frame.names[frame.next];
      frame.next += 1;
      if (name === undefined) {
        stack.pop();
        if (frame.mode !== undefined) chmodSync(systemPath(frame.path), frame.mode);
        continue;
      }
      await this.#visit(`${frame.path}/${name}`, `${frame.member}/${name}`, stack);
    }
  }

  async #visit(path: RawPath, member: RawPath, stack: Frame[]): Promise<void> {
    if (this.#pace.isDue) await this.#pace.rest(this.#signal);
    const at = systemPath(path);
    const stat = lstatSync(at, { bigint: true, throwIfNoEntry: stack.length > 0 });
    if (stat === undefined || stat.isSocket()) return;
    if (stat.isDirectory()) {
      await this.#tell(member, 'directory', stat, 0, '');
      stack.push(open(path, member, Number(stat.mode) & 0o7777));
      return;
    }
    const first = this.#meet(stat, member);
    if (first !== undefined) {
      await this.#tell(member, 'link', stat, 0, first);
    } else if (stat.isFile()) {
      const { size, sha256 } = await this.#readFile(at, Number(stat.mode) & 0o7777);
      this.#bytes += size;
      await this.#tell(member, 'file', stat, size, sha256);
    } else if (stat.isSymbolicLink()) {
      await this.#tell(member, 'symlink', stat, 0, readlinkSync(at, { encoding: 'latin1' }));
    } else {
      const device = stat.isBlockDevice() ? 'block' : 'character';
      await this.#tell(member, stat.isFIFO() ? 'fifo' : device, stat, 0, '');
    }
  }

  /** The member under which the inode was met before. */
  #meet({ dev, ino, nlink }: BigIntStats, member: RawPath): RawPath | undefined {
    if (nlink <= 1n) return undefined;
    const key = `${dev}:${ino}`;
    const known = this.#firsts.get(key);
    if (known === undefined) {
      this.#firsts.set(key, { member, namesLeft: nlink - 1n });
      return undefined;
    }
    known.namesLeft -= 1n;
    if (known.namesLeft <= 0n) this.#firsts.delete(key);
    return known.member;
  }

  async #tell(member: RawPath, type: string, stat: BigIntStats, size: number, data: string): Promise<void> {
    const mode = Number(stat.mode) & 0o7777;
    const octal = mode.toString(8).padStart(4, '0');
    const mtime_s = floorSeconds(stat.mtimeNs);
    this.#digest.update(`${member}\0${type}\0${octal}\0${size}\0${mtime_s}\0${data}\n`, 'latin1');
    this.#entries += 1;
    if (this.#onEntry === undefined) return;
    const path = Buffer.from(member, 'latin1');
    const bytes = Buffer.from(data, type === 'file' ? 'hex' : 'latin1');
    await this.#onEntry({ path, type, mode, size, mtime_s, data: bytes });
  }

  async #readFile(at: SystemPath, mode: number): Promise<{ size: number; sha256: string }> {
    const fd = openFile(at, mode);
    try {
      const sha256: Hash = createHash('sha256');
      let size = 0;
      for (;;) {
        const count = readSync(fd, this.#buffer, 0, READ_BYTES, null);
        if (count === 0) return { size, sha256: sha256.digest('hex') };
        sha256.update(this.#buffer.subarray(0, count));
        size += count;
        if (this.#pace.isDue) await this.#pace.rest(this.#signal);
      }
    } finally {
      closeSync(fd);
    }
  }
}

function openFile(at: SystemPath, mode: number): number {
  try {
    return openSync(at, READ_FILE);
  } catch (error) {
    if (codeOf(error) !== 'EACCES') throw error;
  }
  chmodSync(at, mode | 0o400);
  const fd = openSync(at, READ_FILE);
  fchmodSync(fd, mode);
  return fd;
}

function open(path: RawPath, member: RawPath, mode: number): Frame {
  const at = systemPath(path);
  let changed = false;
  try {
    accessSync(at, constants.R_OK | constants.X_OK);
  } catch (error) {
    if (codeOf(error) !== 'EACCES') throw error;
    chmodSync(at, mode | 0o500);
    changed = true;
  }
  // In latin1 the default order, by code units, is the order of the bytes.
  const names = readdirSync(at, { encoding: 'latin1' }).sort();
  return { path, member, names, next: 0, mode: changed ? mode : undefined };
}

/** Rounded towards the past. */
function floorSeconds(ns: bigint): bigint {
  const truncated = ns / NS_PER_S;
  return ns < truncated * NS_PER_S ? truncated - 1n : truncated;
}
