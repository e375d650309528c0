import { stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { SHORT_PARENT } from './scratch-directory.ts';

const OTHERS_PASS = 0o001;

/**
 * Where throwaway things go when nobody says: the system's directory for temporary files. That of root may be
 * closed to everybody else (pam_tmpdir), also to the user that runs a server in root's place; then /tmp.
 */
export async function defaultScratchParent(
  parent = tmpdir(),
  isRoot = process.geteuid?.() === 0,
): Promise<string> {
  if (!isRoot) return parent;
  for (let path = parent; path !== dirname(path); path = dirname(path)) {
    const found = await stat(path).catch(() => undefined);
    if (found === undefined || (found.mode & OTHERS_PASS) === 0) return SHORT_PARENT;
  }
  return parent;
}
