import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { promisify } from 'node:util';

const execFileAsync = promisify(execFile);

export interface ServerOwner {
  /** What to put before a command so that it runs as the server's user. */
  prefix: readonly string[];
  ids: { uid: number; gid: number } | undefined;
}

/**
 * PostgreSQL's server programs refuse to run as root, which is what containers and CI machines often are.
 * setpriv (util-linux) changes the user without a shell, a login or a PAM session, unlike su and runuser.
 */
export async function serverOwner(): Promise<ServerOwner> {
  if (process.getuid?.() !== 0) return { prefix: [], ids: undefined };
  const ids = (await idsOf('postgres')) ?? (await idsOf('nobody'));
  if (ids === undefined) throw new Error('PostgreSQL does not run as root, and there is no user nobody');
  const prefix = ['setpriv', `--reuid=${ids.uid}`, `--regid=${ids.gid}`, '--clear-groups', '--'];
  return { prefix, ids };
}

async function idsOf(user: string): Promise<{ uid: number; gid: number } | undefined> {
  try {
    const [uid, gid] = await Promise.all([
      execFileAsync('id', ['-u', user]),
      execFileAsync('id', ['-g', user]),
    ]);
    return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
  } catch {
    return undefined;
  }
}

/** Throws, naming the parent, when the server's user cannot write to the directory. */
export async function assertReachable(dir: string, owner: ServerOwner): Promise<void> {
  await execFileAsync('setpriv', [...owner.prefix.slice(1), 'test', '-w', dir], { cwd: '/' }).catch(
    (cause: unknown) => {
      const parent = dirname(dir);
      throw new Error(`${parent} is out of reach for the server's user; choose another parent`, { cause });
    },
  );
}
