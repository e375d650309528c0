import { accessSync, chmodSync, constants, fstatSync, lstatSync, readdirSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { printable } from '../../domain/printable.ts';
import { SomeNames } from '../../domain/some-names.ts';
import { refuseKeptDirectories } from '../../domain/target-refusals.ts';
import { OpenDirectory } from './open-directory.ts';
import type { Pace } from './pace.ts';
import { isPrivileged } from './privileges.ts';
import type { ProtectedDirectories } from './protected-directories.ts';
import { displayPath, type RawPath, type SystemPath, systemPath } from './raw-path.ts';
import { refused } from './target-place.ts';

interface MergeCheck {
  /** Of the tree to be moved. */
  device: number;
  /** Of the target, for people. */
  path: string;
  overwrite: boolean;
  /** Paths of directories that keep their mode and time where they are there already. */
  bystanders: ReadonlySet<RawPath>;
  /** Nothing is moved into one of them. */
  isProtected: ProtectedDirectories;
  /** Gathers directories that hold something and would make room for something else. */
  kept: SomeNames;
  pace: Pace;
  signal: AbortSignal;
}

const STICKY = 0o1000;

/**
 * Looks for what would stop the moving of a tree into a directory half-way. Throws TARGET_REFUSED for an entry in
 * the way, unless they are to be overwritten; for directories that hold something where the tree has none; for
 * another file system mounted below; for what this user may not change; for the directories of the backups.
 */
export async function checkMerge(
  tree: RawPath,
  target: OpenDirectory,
  options: Omit<MergeCheck, 'device' | 'kept'>,
): Promise<void> {
  const kept = new SomeNames();
  await checkDirectory(tree, target, '', { ...options, kept, device: lstatSync(systemPath(tree)).dev });
  refuseKeptDirectories(options.path, kept.names, kept.total);
}

async function checkDirectory(
  source: RawPath,
  target: OpenDirectory,
  below: RawPath,
  check: MergeCheck,
): Promise<void> {
  const holder = fstatSync(target.fd);
  for (const name of readdirSync(systemPath(source), { encoding: 'latin1' })) {
    if (check.pace.isDue) await check.pace.rest(check.signal);
    const there = lstatSync(target.at(name), { throwIfNoEntry: false });
    if (there === undefined) continue;
    const path = `${below}${name}`;
    const shown = join(check.path, displayPath(path));
    if (!check.overwrite)
      throw refused(check.path, `${shown} has come into being`, 'Restore with --overwrite.');
    if (there.dev !== check.device && there.isDirectory()) throw otherFileSystem(shown, check);
    const from = `${source}/${name}`;
    const isDirectory = lstatSync(systemPath(from)).isDirectory();
    if (there.isDirectory() && !isDirectory && holdsSomething(target.at(name))) {
      check.kept.add(printable(displayPath(path)));
      continue;
    }
    if (!there.isDirectory() || !isDirectory) {
      if (!mayReplace(target.at(name), there, holder)) throw notOurs(shown, check);
      continue;
    }
    const mayMerge = isOurs(there) || (check.bystanders.has(path) && isWritable(target.at(name)));
    if (!mayMerge) throw notOurs(shown, check);
    await opened(target.at(name), there, async (inner) => {
      check.isProtected.refuseItself(fstatSync(inner.fd, { bigint: true }), check.path, `${shown} is`);
      await checkDirectory(from, inner, `${path}/`, check);
    });
  }
}

/** Looks into a directory; one of our own that is shut is shut again afterwards. */
async function opened(
  at: SystemPath,
  there: Stats,
  look: (inner: OpenDirectory) => Promise<void>,
): Promise<void> {
  const isShut = isOurs(there) && !isPrivileged() && (there.mode & 0o500) !== 0o500;
  if (isShut) chmodSync(at, (there.mode & 0o7777) | 0o500);
  try {
    using inner = new OpenDirectory(at, 'nofollow');
    await look(inner);
  } finally {
    if (isShut) chmodSync(at, there.mode & 0o7777);
  }
}

/** One that cannot be looked into may. */
function holdsSomething(at: SystemPath): boolean {
  try {
    return readdirSync(at).length > 0;
  } catch {
    return true;
  }
}

/** Whether renaming in its place, or moving it elsewhere, will be allowed. */
function mayReplace(at: SystemPath, there: Stats, holder: Stats): boolean {
  if (isOurs(there)) return true;
  if ((holder.mode & STICKY) !== 0 && !isOurs(holder)) return false;
  return !there.isDirectory() || isWritable(at);
}

function isOurs({ uid }: Stats): boolean {
  return uid === process.geteuid?.() || isPrivileged();
}

function isWritable(at: SystemPath): boolean {
  try {
    accessSync(at, constants.R_OK | constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function otherFileSystem(shown: string, { path }: MergeCheck): Error {
  return refused(
    path,
    `another file system is mounted at ${shown}`,
    'Restore what belongs there with --path into a directory on it, and the rest without it.',
  );
}

function notOurs(shown: string, { path }: MergeCheck): Error {
  return refused(path, `${shown} belongs to somebody else and cannot be replaced`, 'Restore as root.');
}
