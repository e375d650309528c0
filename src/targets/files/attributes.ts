import { chmodSync, fchmodSync, fchownSync, futimesSync, lchownSync, lutimesSync } from 'node:fs';
import { BackupError } from '../../domain/errors.ts';
import type { TarEntry } from '../../formats/tar/tar-reader.ts';
import type { OwnerNumbers, OwnerPair } from './owner-numbers.ts';
import { codeOf, type SystemPath } from './raw-path.ts';

/** What a Date can hold, which is what node:fs takes for a time before 1970: the year 275760. */
const MAX_MTIME_S = 8_640_000_000_000;

const SUID_SGID = 0o6000;

/** What an entry gets besides its name and its data. */
export interface Attributes {
  /** The lower 12 bits. */
  mode: number;
  /** Whole seconds. */
  mtime_s: number;
  /** Undefined: whoever restores owns it. */
  owner?: OwnerPair;
}

/** @param owners undefined: entries stay ours. */
export function attributesOf(entry: TarEntry, owners: OwnerNumbers | undefined): Attributes {
  const mtime_s = Math.max(-MAX_MTIME_S, Math.min(MAX_MTIME_S, Number(entry.mtime_s)));
  const { mode } = entry;
  return owners === undefined ? { mode, mtime_s } : { mode, mtime_s, owner: owners.of(entry) };
}

/** A number below 0 means "now" to node:fs, a Date does not. */
function timeOf({ mtime_s }: Attributes): Date {
  return new Date(mtime_s * 1_000);
}

/** Of an open file or directory. The owner first: chown(2) takes setuid and setgid away. */
export function setAttributesOf(fd: number, attributes: Attributes): void {
  const { owner } = attributes;
  if (owner !== undefined) fchownSync(fd, owner.uid, owner.gid);
  settingMode(attributes, () => fchmodSync(fd, attributes.mode));
  futimesSync(fd, new Date(), timeOf(attributes));
}

/** Nobody but a filter of system calls refuses the setuid and setgid bits to the owner: then say so. */
function settingMode({ mode }: Attributes, set: () => void): void {
  try {
    set();
  } catch (error) {
    if (codeOf(error) !== 'EPERM' || (mode & SUID_SGID) === 0) throw error;
    throw new BackupError(
      'IO_FAILED',
      `an entry has the mode ${mode.toString(8)}, and this process may not set setuid and setgid bits`,
      {
        hint: 'A service with `RestrictSUIDSGID=yes`, or a container with such a filter, may not: take that away (`systemctl edit`), or restore and drill outside of it.',
        cause: error,
      },
    );
  }
}

/** Of what is no symbolic link. */
export function setAttributesAt(path: SystemPath, attributes: Attributes): void {
  const { owner } = attributes;
  if (owner !== undefined) lchownSync(path, owner.uid, owner.gid);
  settingMode(attributes, () => chmodSync(path, attributes.mode));
  lutimesSync(path, new Date(), timeOf(attributes));
}

/** Of a symbolic link, which has no mode of its own. */
export function setLinkAttributesAt(path: SystemPath, attributes: Attributes): void {
  const { owner } = attributes;
  if (owner !== undefined) lchownSync(path, owner.uid, owner.gid);
  lutimesSync(path, new Date(), timeOf(attributes));
}
