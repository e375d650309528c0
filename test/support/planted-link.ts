import { chmod, lstat, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { temporaryDirectory } from './temp-directory.ts';

/** What a link leads to that somebody put in the way of a command run by root. */
export interface Victim {
  readonly path: string;
  /** Its content, owner and mode: what must be the same afterwards. */
  state(): Promise<unknown>;
}

/** A file of somebody else, outside of any location. */
export async function foreignFile(): Promise<Victim> {
  const path = join(await temporaryDirectory(), 'shadow');
  await writeFile(path, 'secret');
  await chmod(path, 0o640);
  return {
    path,
    state: async () => {
      const { uid, gid, mode, nlink } = await stat(path);
      return { text: await readFile(path, 'utf8'), uid, gid, mode, nlink };
    },
  };
}

/** Puts a link to a foreign file at the path, whose directory is made if it is missing. */
export async function plantLink(path: string): Promise<Victim> {
  const victim = await foreignFile();
  await mkdir(dirname(path), { recursive: true });
  await symlink(victim.path, path);
  return victim;
}

export async function isLink(path: string): Promise<boolean> {
  return (await lstat(path)).isSymbolicLink();
}
