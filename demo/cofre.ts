import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { CHECKOUT, plainEnvironment } from './environment.ts';

const TIMEOUT_MS = 30_000;

/** Runs one command of cofre, as a person would beside the daemon; what it printed. Throws unless it exits with 0. */
export async function cofre(
  args: readonly string[],
  configPath: string,
  signal: AbortSignal,
): Promise<string> {
  const argv = [join(CHECKOUT, 'src/main.ts'), ...args, '--config', configPath];
  // Beside the answer a command logs where stderr is no terminal; that is not for this story.
  const env = { ...plainEnvironment(), COFRE_LOG_LEVEL: 'silent' };
  const options = { env, cwd: CHECKOUT, signal, timeout: TIMEOUT_MS };
  return await new Promise((resolve, reject) => {
    execFile(process.execPath, argv, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const printed = `${stdout}${stderr}`.trim();
      reject(new Error(`cofre ${args.join(' ')} failed: ${printed || error.message}`, { cause: error }));
    });
  });
}
