import { BackupError } from '../domain/errors.ts';
import type { Hooks } from '../domain/job.ts';
import { assertSucceeded, startChild } from '../lib/child.ts';

/** What a hook is told, in its environment. */
export interface HookFacts {
  COFRE_JOB: string;
  COFRE_RUN: string;
  /** Empty before the run. */
  COFRE_OUTCOME: string;
  /** Absolute paths of the archives added, one a line. */
  COFRE_ARCHIVES: string;
}

/** Once a hook has ended, what it left running may hold its pipes for this long. */
const PIPES_AFTER_EXIT_MS = 500;

/**
 * Runs one hook, if there is one, without a shell. Throws HOOK_FAILED. A hook is done when its program has
 * ended: what that left in the background is neither waited for nor ended, and cannot write to the hook's
 * stdout and stderr any more.
 */
export async function runHook(
  kind: keyof Hooks,
  hooks: Hooks,
  facts: HookFacts,
  signal: AbortSignal,
): Promise<void> {
  const argv = hooks[kind];
  const [command, ...args] = argv ?? [];
  if (command === undefined) return;
  const label = `the ${kind} hook ${command}`;
  try {
    const child = await startChild({
      command,
      args,
      env: { ...process.env, ...facts },
      signal,
      label,
      pipesAfterExit_ms: PIPES_AFTER_EXIT_MS,
    });
    // Nobody wants what it prints there, and unread it would stop at a full pipe.
    child.stdout.resume();
    assertSucceeded(label, await child.exited, child.stderrTail(), signal);
  } catch (error) {
    signal.throwIfAborted();
    throw new BackupError('HOOK_FAILED', (error as Error).message, {
      path: command,
      hint: 'Run the hook by hand as the user of cofre, with the same environment.',
      cause: error,
    });
  }
}
