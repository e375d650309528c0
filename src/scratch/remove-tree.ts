import { lstat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { BackupError } from '../domain/errors.ts';
import { NEVER } from '../lib/abort.ts';
import { runChild } from '../lib/child.ts';

/** A process that is ending may still write into what is being removed. */
const ATTEMPTS = 5;
const PAUSE_MS = 100;

/**
 * Removes a directory with all it holds, of whatever depth and with names of any bytes; a missing one is fine.
 * It is the system's `rm` that walks: by descriptors, so that root is not led elsewhere by a user who swaps a
 * directory for a link meanwhile. Throws IO_FAILED, with what is left standing.
 */
export async function removeTree(path: string): Promise<void> {
  let complaint = await run('rm', ['-rf', '--one-file-system', '--', path]);
  for (let attempt = 1; complaint !== undefined && attempt < ATTEMPTS; attempt += 1) {
    // Directories without rights of their own keep out all but root. Only where nobody else could plant a link.
    const found = await lstat(path).catch(() => undefined);
    if (found?.uid === process.geteuid?.()) await run('chmod', ['-R', 'u+rwx', '--', path]);
    await delay(attempt === 1 ? 0 : PAUSE_MS);
    complaint = await run('rm', ['-rf', '--one-file-system', '--', path]);
  }
  if (complaint === undefined) return;
  throw new BackupError('IO_FAILED', `${path} could not be removed: ${complaint}`, {
    path,
    hint: 'Remove it by hand; the message says what stands in the way.',
  });
}

/** Undefined when it succeeded, else what it said. Removal goes on when the work it was for is cancelled. */
async function run(command: string, args: readonly string[]): Promise<string | undefined> {
  const env = { PATH: process.env['PATH'], LC_ALL: 'C' };
  const { code, stderr } = await runChild({ command, args, env, signal: NEVER });
  return code === 0 ? undefined : (stderr.split('\n')[0] ?? '');
}
