import { readdir } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { runChild } from '../lib/child.ts';
import { notProvable } from './not-provable.ts';

/** Signal for programs whose starter died: a postmaster ends its children on it, initdb removes what it made. */
const DEATH_SIGNAL = 'QUIT';
/**
 * Who runs a server for root; the first that works. What is restored is a program, and runs as this user: one that
 * owns nothing, where the first of these is there, and no database cluster that trusts it.
 */
const SERVER_USERS = ['nobody', 'postgres'];
/** Where distributions put libraries: Debian by architecture. */
const LIBRARY_DIRECTORIES = ['/usr/lib', '/usr/lib64', '/usr/local/lib'];
const NSS_WRAPPER = 'libnss_wrapper.so';

/** Who runs the server programs, which refuse to run as root. */
export interface ServerUser {
  /** What to put before a command: it then runs as that user, and ends when we end, where setpriv can do that. */
  readonly prefix: readonly string[];
  /** Of that user when it is not us. */
  readonly ids: { uid: number; gid: number } | undefined;
  /**
   * A library that makes up a name for our user id, which has none: initdb asks for it. In containers that run
   * as any user.
   */
  readonly nameLibrary: string | undefined;
}

/** Throws NOT_PROVABLE where the server programs cannot run: nobody to run them for root, or a user without name. */
export async function findServerUser(signal: AbortSignal): Promise<ServerUser> {
  const dying = ['--pdeathsig', DEATH_SIGNAL];
  if (process.geteuid?.() !== 0) {
    const nameLibrary = hasName() ? undefined : await findNameLibrary();
    // In a sandbox that forbids changes of capabilities setpriv fails; such a sandbox ends its processes itself.
    const canDie = await succeeds(['setpriv', ...dying, '--', 'true'], signal);
    return { prefix: canDie ? ['setpriv', ...dying, '--'] : [], ids: undefined, nameLibrary };
  }
  const candidates = await idsOf(SERVER_USERS, signal);
  if (candidates.length === 0) {
    throw notProvable(
      'PostgreSQL does not run as root, and there is neither a user nobody nor a user postgres',
      'Run cofre as a user of its own, or make a user called postgres.',
    );
  }
  for (const ids of candidates) {
    // Without new privileges no setuid program leads what a dump starts back to somebody who may more.
    const change = [
      'setpriv',
      `--reuid=${ids.uid}`,
      `--regid=${ids.gid}`,
      '--clear-groups',
      '--no-new-privs',
    ];
    for (const options of [dying, []]) {
      const prefix = [...change, ...options, '--'];
      if (await succeeds([...prefix, 'true'], signal)) return { prefix, ids, nameLibrary: undefined };
    }
  }
  throw notProvable(
    'PostgreSQL does not run as root, and root may not become another user here',
    'Install setpriv (util-linux), run cofre as a user of its own, or give it the capabilities SETUID and SETGID.',
  );
}

/** Whether a command, which is given by absolute path or looked up on PATH, ends with status 0. */
export async function succeeds(
  [command = '', ...args]: readonly string[],
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const env = { PATH: process.env['PATH'] };
    const { code } = await runChild({ command, args, env, cwd: '/', signal });
    return code === 0;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

/** Of those that exist. */
async function idsOf(users: readonly string[], signal: AbortSignal): Promise<{ uid: number; gid: number }[]> {
  const env = { PATH: process.env['PATH'] };
  const found: { uid: number; gid: number }[] = [];
  for (const user of users) {
    const [uid, gid] = await Promise.all(
      ['-u', '-g'].map(async (flag) => await runChild({ command: 'id', args: [flag, user], env, signal })),
    );
    if (uid?.code === 0 && gid?.code === 0) {
      found.push({ uid: Number(uid.stdout), gid: Number(gid.stdout) });
    }
  }
  return found;
}

/** The user id that the server of a throwaway cluster runs as. Throws NOT_PROVABLE as `findServerUser` does. */
export async function serverUserId(signal: AbortSignal): Promise<number | undefined> {
  const { ids } = await findServerUser(signal);
  return ids?.uid ?? process.geteuid?.();
}

function hasName(): boolean {
  try {
    return userInfo().username !== '';
  } catch {
    return false;
  }
}

/** Source: https://cwrap.org/nss_wrapper.html */
async function findNameLibrary(): Promise<string> {
  for (const parent of LIBRARY_DIRECTORIES) {
    const names = await namesIn(parent);
    const architectures = names.filter((name) => name.includes('-linux-')).map((name) => join(parent, name));
    for (const directory of [parent, ...architectures]) {
      if ((await namesIn(directory)).includes(NSS_WRAPPER)) return join(directory, NSS_WRAPPER);
    }
  }
  throw notProvable(
    `the user id ${process.geteuid?.()} that cofre runs as has no name, and initdb asks for one`,
    'Run cofre as a user that is in /etc/passwd (in the container 10001), or install libnss-wrapper, which makes up a name.',
  );
}

async function namesIn(directory: string): Promise<string[]> {
  return await readdir(directory).catch(() => []);
}
