import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ErrorDocument } from '../../../src/domain/errors.ts';
import type { FilesContents } from '../../../src/domain/manifest.ts';
import type { ExtractOptions, TreePlan } from '../../../src/domain/restore-ports.ts';
import { temporaryDirectory } from '../../support/temp-directory.ts';

const PROGRAM = join(import.meta.dirname, 'extract-as-nobody.ts');
export const NOBODY = 65_534;

/** A directory of a user without rights, where the tests run as root; removed when the test is over. */
export async function directoryOfNobody(): Promise<string> {
  const path = join(await temporaryDirectory(), 'nobody');
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

/** Extracts as a user without rights. @param archive a path. */
export async function extractAsNobody(
  archive: string,
  target: string,
  options: Partial<ExtractOptions> = {},
): Promise<Outcome> {
  const args = [PROGRAM, archive, target, JSON.stringify(options)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as Outcome;
}

/** Starts extracting an archive without an end; it prints a line after a thousand members. */
export function extractForever(target: string): ChildProcess {
  return spawn(process.execPath, [PROGRAM, '-', target], { stdio: ['ignore', 'pipe', 'inherit'] });
}
