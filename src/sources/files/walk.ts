import { type BigIntStats, lstatSync, readdirSync, statSync } from 'node:fs';
import { BackupError } from '../../domain/errors.ts';
import type { Exclude } from './exclude.ts';
import { identityOf } from './identity.ts';
import { rawName, type RawName, type SystemPath, systemPath } from './raw-name.ts';
import type { RemarkSink } from './remarks.ts';

/** A directory to archive. */
export interface PackRoot {
  /** Absolute. May be a symbolic link to a directory. */
  path: string;
  /** The member name below which its entries lie. */
  as: string;
}

/** What a walk passes over without a word. */
export interface WalkFilter {
  exclude: Exclude | undefined;
  /** Directories by their identities, see identitiesOf. */
  leaveOut: ReadonlySet<string>;
}

interface Named {
  path: SystemPath;
  /** Without a trailing slash. */
  member: RawName;
}

/** A regular file. Its attributes are those that it has when it is open. */
export interface WalkedFile extends Named {
  isFile: true;
  /**
   * False: its directory calls it one, which another program, a mount, or a file system that says so of links may make
   * untrue.
   */
  isSeen: boolean;
  /** Set by whoever finds out: the walk then looks at it, and meets it once more as what it is. */
  isOther?: true;
}

/** Anything but a regular file. */
export interface WalkedOther extends Named {
  isFile: false;
  stat: BigIntStats;
}

export type WalkEntry = WalkedFile | WalkedOther;

/** An entry as its directory names it. */
interface Listed {
  name: RawName;
  /** False: it has to be looked at. */
  isFile: boolean;
}

/** A directory under way: its entries, sorted, and how far the walk is. */
interface Frame {
  path: RawName;
  member: RawName;
  entries: Listed[];
  next: number;
}

/**
 * Walks one directory depth first: the directory itself, then its entries by the bytes of their names,
 * descending into each directory as it is met. Holds what is in the directories on the current path only.
 * Symbolic links below the root are entries and never followed; other file systems are crossed.
 *
 * What its directory calls a regular file is not looked at, since whoever reads it opens it and does. An entry that is to be looked at
 * and cannot be becomes a remark, and the walk goes on. A directory that cannot be listed
 * is an entry and a remark. Throws SOURCE_MISSING or UNREADABLE for the root alone.
 */
export function* walkTree(
  root: PackRoot,
  { exclude, leaveOut }: WalkFilter,
  remarks: RemarkSink,
): Generator<WalkEntry, void, undefined> {
  const top: RawName = rawName(root.path === '/' ? '' : root.path);
  const topMember: RawName = rawName(root.as);
  yield { isFile: false, path: root.path, member: topMember, stat: statRoot(root.path) };
  const stack: Frame[] = [
    { path: top, member: topMember, entries: listRoot(root.path, topMember, remarks), next: 0 },
  ];
  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    const listed = frame.entries[frame.next];
    frame.next += 1;
    if (listed === undefined) {
      stack.pop();
      continue;
    }
    const member = `${frame.member}/${listed.name}`;
    const relative = exclude === undefined ? '' : member.slice(topMember.length + 1);
    if (exclude?.(relative, false) === true) continue;
    const rawPath = `${frame.path}/${listed.name}`;
    const path = systemPath(rawPath);
    if (listed.isFile) {
      const file: WalkedFile = { isFile: true, isSeen: false, path, member };
      yield file;
      if (file.isOther !== true) continue;
    }
    const stat = look(path, member, remarks);
    if (stat === undefined) continue;
    if (!stat.isDirectory()) {
      yield stat.isFile()
        ? { isFile: true, isSeen: true, path, member }
        : { isFile: false, path, member, stat };
      continue;
    }
    if (exclude?.(relative, true) === true || leaveOut.has(identityOf(stat))) continue;
    // Listed before it is yielded: one that has vanished by now is no entry.
    const entries = list(path, member, remarks);
    if (entries === undefined) continue;
    yield { isFile: false, path, member, stat };
    stack.push({ path: rawPath, member, entries, next: 0 });
  }
}

/** Throws SOURCE_MISSING when it is not there or no directory, UNREADABLE when it cannot be looked at. */
export function rootError(path: string, error: unknown): BackupError {
  const code = codeOf(error);
  if (isGone(code)) return rootMissing(path, error);
  return new BackupError('UNREADABLE', `directory ${path} cannot be read: ${code}`, {
    path,
    hint: 'Give the user that runs cofre read and search permission on it and on the directories above it.',
    cause: error,
  });
}

function rootMissing(path: string, cause?: unknown): BackupError {
  return new BackupError('SOURCE_MISSING', `directory ${path} does not exist`, {
    path,
    hint: 'Create the directory, mount its file system, or correct its path in the configuration.',
    cause,
  });
}

export function notADirectory(path: string): BackupError {
  return new BackupError('SOURCE_MISSING', `${path} is not a directory`, {
    path,
    hint: 'A files source archives directories: name the directory that holds this file.',
  });
}

/** Whether an error code says that the entry is not there (any more). */
export function isGone(code: string | undefined): boolean {
  return code === 'ENOENT' || code === 'ENOTDIR';
}

/** The code of a system error, for a reason. */
export function codeOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ?? message;
}

function statRoot(path: string): BigIntStats {
  let stat: BigIntStats;
  try {
    stat = statSync(path, { bigint: true });
  } catch (error) {
    throw rootError(path, error);
  }
  if (!stat.isDirectory()) throw notADirectory(path);
  return stat;
}

function listRoot(path: string, member: RawName, remarks: RemarkSink): Listed[] {
  const entries = list(path, member, remarks);
  if (entries === undefined) throw rootMissing(path);
  return entries;
}

function look(path: SystemPath, member: RawName, remarks: RemarkSink): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true });
  } catch (error) {
    const code = codeOf(error);
    if (isGone(code)) remarks.changed(member, 'vanished before it was read');
    else remarks.incomplete(member, `unreadable: ${code}`);
    return undefined;
  }
}

/** Undefined when the directory is gone; empty, with a remark, when it cannot be listed. */
function list(path: SystemPath, member: RawName, remarks: RemarkSink): Listed[] | undefined {
  try {
    return readEntries(path).sort(byName);
  } catch (error) {
    const code = codeOf(error);
    if (isGone(code)) {
      remarks.changed(member, 'vanished before it was read');
      return undefined;
    }
    remarks.incomplete(member, `unreadable directory: ${code}`);
    return [];
  }
}

/**
 * Where the file system does not say what an entry is, Node looks, by the text of its name: of bytes that are not ASCII
 * that is another entry, or none, and then it fails, as with one that vanishes meanwhile. The directory is read without
 * types then; what is wrong with the directory itself fails that, too.
 */
function readEntries(path: SystemPath): Listed[] {
  try {
    return readdirSync(path, { encoding: 'latin1', withFileTypes: true }).map((entry) => ({
      name: entry.name,
      isFile: entry.isFile(),
    }));
  } catch {
    return readdirSync(path, { encoding: 'latin1' }).map((name) => ({ name, isFile: false }));
  }
}

/** In latin1 the order by code units is the order of the bytes. No two entries of a directory bear the same name. */
function byName(one: Listed, other: Listed): number {
  return one.name < other.name ? -1 : 1;
}
