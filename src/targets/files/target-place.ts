import { accessSync, constants, lstatSync, opendirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { BackupError } from '../../domain/errors.ts';
import { printable } from '../../domain/printable.ts';
import { isMountPoint } from '../../lib/mounts.ts';
import { codeOf, displayPath, type RawPath } from './raw-path.ts';

/** How the names of directories begin in which a restore gathers what it will move into place. */
export const STAGING_PREFIX = '.cofre-restore-';
/** How many names of a directory are looked at, and how many are told. */
const MAX_LOOKED_AT = 10_000;
const MAX_TOLD = 5;

/** Where a tree is restored to. */
export interface TargetPlace {
  /** Absolute, as it was typed. */
  path: string;
  exists: boolean;
  /** The directory that is written to: the target, or the one that it is to be made in. */
  holder: string;
  /** Of the target in its holder, where it does not exist. */
  name: string;
}

/** Throws TARGET_REFUSED when there can be no directory, or this user may not write there. */
export function findPlace(given: string): TargetPlace {
  const path = resolve(given);
  const found = statAt(path);
  const name = basename(path);
  if (found !== undefined) {
    if (!found.isDirectory()) {
      throw refused(path, `${path} is not a directory`, 'Name a directory; it need not exist.');
    }
    assertWritable(path, path);
    return { path, exists: true, holder: path, name };
  }
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) {
    throw refused(
      path,
      `${path} is a symbolic link that leads nowhere`,
      'Remove it, or name another directory.',
    );
  }
  const holder = dirname(path);
  const parent = statAt(holder);
  if (parent === undefined) {
    throw refused(path, `${holder} does not exist`, `Make it first: mkdir -p ${holder}`);
  }
  if (!parent.isDirectory()) {
    throw refused(path, `${holder} is not a directory`, 'Name a directory inside of another one.');
  }
  assertWritable(path, holder);
  return { path, exists: false, holder, name };
}

/** Some of the names in the target, with what they are where that matters. */
export async function occupantsOf(place: TargetPlace): Promise<string[]> {
  if (!place.exists) return [];
  const names = namesIn(place.path);
  // A file system has it from the start.
  const isFresh = names.includes('lost+found') && (await isMountPoint(place.path));
  const occupants = names.filter((name) => !isFresh || name !== 'lost+found');
  const told = occupants.slice(0, MAX_TOLD).map(describe);
  const beyond = occupants.length - told.length;
  if (beyond === 0) return told;
  return [...told, names.length === MAX_LOOKED_AT ? 'and many more' : `and ${beyond} more`];
}

/** Paths beside a target that is to be made; in one that is there they are occupants. */
export function leftoversBeside({ exists, holder }: TargetPlace): string[] {
  if (exists) return [];
  const left = namesIn(holder).filter((name) => name.startsWith(STAGING_PREFIX));
  return left.map((name) => join(holder, printable(displayPath(name))));
}

function describe(name: RawPath): string {
  const shown = printable(displayPath(name));
  return name.startsWith(STAGING_PREFIX)
    ? `${shown} (left by a restore that was interrupted; remove it unless one is under way)`
    : shown;
}

/** Sorted, at most 10,000. */
function namesIn(path: string): RawPath[] {
  const directory = opendirSync(path, { encoding: 'latin1' as BufferEncoding });
  try {
    const names: RawPath[] = [];
    while (names.length < MAX_LOOKED_AT) {
      const entry = directory.readSync();
      if (entry === null) break;
      names.push(entry.name);
    }
    return names.sort();
  } finally {
    directory.closeSync();
  }
}

function statAt(path: string): ReturnType<typeof statSync> | undefined {
  try {
    return statSync(path);
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT') return undefined;
    if (code === 'ENOTDIR') {
      throw refused(path, `${path} lies below something that is no directory`, 'Correct the path.', error);
    }
    throw refused(
      path,
      `${path} cannot be looked at: ${code}`,
      'Correct the path, or its permissions.',
      error,
    );
  }
}

function assertWritable(path: string, holder: string): void {
  try {
    accessSync(holder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw refused(
      path,
      `${holder} cannot be written to: ${codeOf(error)}`,
      'Give the user that restores write permission on it, or name another directory.',
      error,
    );
  }
}

export function refused(path: string, message: string, hint: string, cause?: unknown): BackupError {
  return new BackupError('TARGET_REFUSED', message, { path, hint, cause });
}
