import { type ChildProcess, spawn } from 'node:child_process';

export interface Keeper {
  alsoRemove(path: string): void;
  /** Stops the server, removes its directories; resolves when that is done. */
  release(): Promise<void>;
}

/**
 * A shell that waits for the end of a pipe of ours, then stops the server and removes its directories.
 * The kernel closes the pipe whatever this process dies of, SIGKILL included; disposing takes the same
 * way, so the one that matters in an accident is the one that is always used. Extra paths to remove come
 * through the pipe, a line each.
 */
export function startKeeper(dir: string, control: readonly string[]): Keeper {
  const script = `
    extra=
    while IFS= read -r line; do extra=$line; done
    "$@" -m immediate -w stop >/dev/null 2>&1
    cd /
    rm -rf -- "$dir" \${extra:+"$extra"}
  `;
  // In a session of its own: a Ctrl-C at the terminal must not end it before it has done its work.
  const child: ChildProcess = spawn('/bin/sh', ['-c', script, 'cofre-keeper', ...control], {
    env: { ...cleanEnv(), dir },
    stdio: ['pipe', 'ignore', 'inherit'],
    detached: true,
  });
  const { stdin } = child;
  if (stdin === null) throw new Error('the keeper has no stdin');
  stdin.on('error', () => undefined);
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  // A test that forgets to dispose must still be able to end.
  child.unref();
  (stdin as typeof stdin & { unref(): void }).unref();
  return {
    alsoRemove: (path) => void stdin.write(`${path}\n`),
    release: async () => {
      child.ref();
      stdin.end();
      await exited;
    },
  };
}

/** The environment without PG* variables, which would send programs to another server. */
export function cleanEnv(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^PG[A-Z]+$/.test(key)));
}
