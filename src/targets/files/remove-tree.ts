import { chmodSync, lstatSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import type { Pace } from './pace.ts';
import { codeOf, type RawPath, systemPath } from './raw-path.ts';

/** Removes whatever has this path, with all below it, whatever its names and modes. Follows no link. */
export async function removeTree(path: RawPath, pace: Pace): Promise<void> {
  const at = systemPath(path);
  const found = lstatSync(at, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (pace.isDue) await pace.rest();
  if (!found.isDirectory()) {
    unlinkSync(at);
    return;
  }
  if ((found.mode & 0o700) !== 0o700) chmodSync(at, 0o700);
  for (const name of readdirSync(at, { encoding: 'latin1' })) await removeTree(`${path}/${name}`, pace);
  try {
    rmdirSync(at);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}
