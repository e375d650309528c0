import { runChild } from './child.ts';

/**
 * What to put before a command so that it gets SIGTERM when this process dies of anything: for a program that writes
 * to files, and so would go on after us. Empty where setpriv (util-linux) is missing or, in a sandbox that forbids
 * changes of capabilities, may not do its work; such a sandbox ends its processes itself.
 */
export async function endingWithUs(signal: AbortSignal): Promise<string[]> {
  const prefix = ['--pdeathsig', 'TERM', '--'];
  try {
    const env = { PATH: process.env['PATH'] };
    const { code } = await runChild({ command: 'setpriv', args: [...prefix, 'true'], env, cwd: '/', signal });
    return code === 0 ? ['setpriv', ...prefix] : [];
  } catch {
    signal.throwIfAborted();
    return [];
  }
}
