#!/usr/bin/env node
import { assertRuntime } from './runtime.ts';

// Before anything else is loaded: an older Node would fail on the first import with a message about syntax.
assertRuntime(process.versions.node);
const { runCli } = await import('./cli/program.ts');
process.exitCode = await runCli(process.argv.slice(2));
