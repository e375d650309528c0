import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';
import type { ErrorDocument } from '../../../src/domain/errors.ts';
import type { FilesContents } from '../../../src/domain/manifest.ts';
import type { ExtractOptions, TreePlan } from '../../../src/domain/restore-ports.ts';
import { temporaryDirectory } from '../../support/temp-directory.ts';

const PROGRAM = join(import.meta.dirname, 'extract-as-nobody.ts');
export const NOBODY = 65_534;

/** A temporary directory that whoever is not root can remove as well, whatever modes lie in it. */
export async function unlockedDirectory(): Promise<string> {
  const path = await temporaryDirectory();
  onTestFinished(() => {
    execFileSync('chmod', ['-R', 'u+rwx', path], { stdio: 'ignore' });
  });
  return path;
}

/** A directory of a user without rights, where the tests run as root; removed when the test is over. */
export async function directoryOfNobody(): Promise<string> {
  const path = join(await unlockedDirectory(), 'nobody');
  mkdirSync(path);
  giveToNobody(path, join(path, '..'));
  return path;
}

export function giveToNobody(...paths: string[]): void {
  if (process.getuid?.() !== 0) return;
  for (const path of paths) chownSync(path, NOBODY, NOBODY);
}

export interface Outcome {
  plan?: TreePlan;
  contents?: FilesContents;
  error?: ErrorDocument;
}

/**
 * Extracts as a user without rights. @param archive a path. With `failing` the check throws at its end.
 * @param nodeArgs for the process.
 */
export async function extractAsNobody(
  archive: string,
  target: string,
  options: Partial<ExtractOptions> & { failing?: boolean } = {},
  nodeArgs: readonly string[] = [],
): Promise<Outcome> {
  const args = [...nodeArgs, PROGRAM, archive, target, JSON.stringify(options)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as Outcome;
}

/** Starts extracting an archive without an end; it prints a line after a thousand members. */
export function extractForever(target: string): ChildProcess {
  return spawn(process.execPath, [PROGRAM, '-', target], { stdio: ['ignore', 'pipe', 'inherit'] });
}
