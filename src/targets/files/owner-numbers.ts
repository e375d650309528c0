import { readFileSync } from 'node:fs';
import type { TarEntry } from '../../formats/tar/tar-reader.ts';

/** 2^32 - 1 is -1, which tells chown(2) to leave the owner. */
const MAX_NUMBER = 0xffff_fffe;

export interface OwnerPair {
  uid: number;
  gid: number;
}

/**
 * Whom an entry belongs to on this machine, as GNU tar sees it: the user and the group of its names where there
 * are such, else its numbers. Users that only a directory service knows go by their numbers.
 */
export class OwnerNumbers {
  readonly #users: ReadonlyMap<string, number>;
  readonly #groups: ReadonlyMap<string, number>;

  constructor(passwd = '/etc/passwd', group = '/etc/group') {
    this.#users = readNumbers(passwd);
    this.#groups = readNumbers(group);
  }

  /** Throws RangeError for a number that no system has. */
  of({ uname, gname, uid, gid }: Pick<TarEntry, 'uname' | 'gname' | 'uid' | 'gid'>): OwnerPair {
    return {
      uid: this.#users.get(uname.toString('latin1')) ?? possible(uid),
      gid: this.#groups.get(gname.toString('latin1')) ?? possible(gid),
    };
  }
}

function possible(number: number): number {
  if (Number.isInteger(number) && number >= 0 && number <= MAX_NUMBER) return number;
  throw new RangeError(`an entry belongs to ${number}, which can be no user or group`);
}

/** Both files have the name in the first field and the number in the third. */
function readNumbers(path: string): Map<string, number> {
  const numbers = new Map<string, number>();
  for (const line of readIfThere(path).split('\n')) {
    const [name = '', , number = ''] = line.split(':');
    // As the C library does, the first entry of a name wins.
    if (name !== '' && /^\d+$/.test(number) && !numbers.has(name)) numbers.set(name, Number(number));
  }
  return numbers;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    // Minimal containers have neither file.
    return '';
  }
}
