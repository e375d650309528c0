import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A fresh directory, removed when the test that asked for it is over. */
export async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'cofre-unit-'));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** Names in a directory, hidden ones too, sorted. */
export async function namesIn(path: string): Promise<string[]> {
  return (await readdir(path)).sort();
}
