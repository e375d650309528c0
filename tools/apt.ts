import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { isOnPath } from './server-programs.ts';

/** Whether packages may be installed here: root, apt, and nobody forbade it. */
export function mayInstall(): boolean {
  return process.env['COFRE_TEST_INSTALL'] !== '0' && process.getuid?.() === 0 && isOnPath('apt-get');
}

/** Runs apt-get, its output on our stderr. Throws when it fails. */
export async function aptGet(args: readonly string[], cwd = '/'): Promise<void> {
  await run('apt-get', args, cwd);
}

/** Runs a program, its output on our stderr. Throws unless it exits with status 0. */
export async function run(command: string, args: readonly string[], cwd = '/'): Promise<void> {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 2, 2],
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} exited with status ${code}`);
}
