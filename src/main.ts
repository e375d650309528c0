#!/usr/bin/env node
import { assertRuntime } from './runtime.ts';

/** Loads the program only on a Node that can run it: an older one would fail with a message about syntax. */
async function main(): Promise<void> {
  assertRuntime(process.versions.node);
  const { runCli } = await import('./cli/program.ts');
  process.exitCode = await runCli(process.argv.slice(2));
}

void main();
