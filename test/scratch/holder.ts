import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import type { ErrorDocument } from '../../src/domain/errors.ts';
import { descendantsOf, isAlive } from '../support/processes.ts';
import { waitFor } from '../support/wait-for.ts';
import type { HolderOptions } from './scratch-holder.ts';

const SCRIPT = join(import.meta.dirname, 'scratch-holder.ts');

export interface Holder {
  readonly pid: number;
  readonly path: string;
  readonly url: string;
  /** What kept it from making anything. */
  readonly error: ErrorDocument | undefined;
  /** SIGKILL; settles when it is dead and its lock free. */
  kill(): Promise<void>;
  /** Lets it dispose of what it holds; settles when it has. */
  release(): Promise<void>;
}

/** Another process that holds something to throw away. `before` is put in front of its command line. */
export async function startHolder(options: HolderOptions, before: readonly string[] = []): Promise<Holder> {
  const [command, ...args] = [...before, process.execPath, SCRIPT, JSON.stringify(options)];
  const child: ChildProcess = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const { stdout, stdin } = child;
  if (stdout === null || stdin === null) throw new Error('the holder has no pipes');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const lines = createInterface({ input: stdout });
  const [line] = (await Promise.race([once(lines, 'line'), exited.then(() => [])])) as [string?];
  if (line === undefined) throw new Error('the holder ended without a word');
  const { path = '', url = '', error } = JSON.parse(line) as Partial<Holder>;
  return {
    pid: child.pid ?? -1,
    path,
    url,
    error,
    kill: async () => {
      // What holds its lock ends when it sees that its maker has, which is a moment later.
      const locks = descendantsOf(child.pid ?? -1).filter(({ command }) => command === 'cat');
      child.kill('SIGKILL');
      await exited;
      await waitFor('its lock to be free', () => !locks.some(({ pid }) => isAlive(pid)));
    },
    release: async () => {
      stdin.end();
      await exited;
    },
  };
}
