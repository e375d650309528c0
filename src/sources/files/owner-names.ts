import { readFileSync } from 'node:fs';
import { isAscii } from './raw-name.ts';

/** The header field holds 32 bytes with a closing NUL. */
const MAX_NAME_BYTES = 31;

/** Names of users and groups by their number; a number without a name stands alone in the archive. */
export interface OwnerNames {
  user(uid: number): string;
  group(gid: number): string;
}

/**
 * Reads `/etc/passwd` and `/etc/group` once. Users that only a directory service knows stay numbers: asking
 * it would need a child process per user, and extraction falls back to the number anyway.
 */
export function readOwnerNames(passwd = '/etc/passwd', group = '/etc/group'): OwnerNames {
  const users = readNames(passwd);
  const groups = readNames(group);
  return {
    user: (uid) => users.get(uid) ?? '',
    group: (gid) => groups.get(gid) ?? '',
  };
}

/** Both files have the name in the first field and the number in the third. */
function readNames(path: string): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of readIfThere(path).split('\n')) {
    const [name, , number] = line.split(':');
    if (name === undefined || number === undefined || !/^\d+$/.test(number)) continue;
    // As the C library does, the first entry of a number wins.
    if (name.length > 0 && name.length <= MAX_NAME_BYTES && isAscii(name) && !names.has(Number(number))) {
      names.set(Number(number), name);
    }
  }
  return names;
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Minimal containers have neither file.
    return '';
  }
}
