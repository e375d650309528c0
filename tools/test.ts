import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { installBsdtar } from './bsdtar.ts';
import { installPromtool } from './promtool.ts';
import { requirePostgresPrograms } from './require-postgres-programs.ts';
import { installSystemdAnalyze } from './systemd-analyze.ts';

/*
 * What `npm test` runs: every check and every test, to the end, whatever fails on the way. The last line
 * of the output is `N passed, N failed`; it counts tests, and one failure more for each step that failed
 * without a failed test, so that it never says `0 failed` when the exit status is 1.
 * Arguments go to vitest: `npm test -- inspect`.
 */

const ROOT = join(import.meta.dirname, '..');

interface Tally {
  passed: number;
  failed: number;
}

const NOTHING: Tally = { passed: 0, failed: 0 };
const FAULT: Tally = { passed: 0, failed: 1 };

async function main(): Promise<number> {
  const total = { ...NOTHING };
  const step = async (name: string, work: () => Promise<Tally>) => {
    const started = performance.now();
    const tally = await work().catch((error: unknown) => {
      console.log(error instanceof Error ? error.message : String(error));
      return FAULT;
    });
    total.passed += tally.passed;
    total.failed += tally.failed;
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`${tally.failed === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
  };
  await step(`node ${process.version}`, async () => await check('node', ['tools/assert-node.mjs']));
  await step('programs', requirePrograms);
  await step('check:types', async () => await check('tsc', ['--noEmit']));
  await step('check:lint', async () => await check('oxlint', ['--type-aware', '--deny-warnings']));
  await step('check:format', async () => await check('biome', ['format', '.']));
  await step('tests', async () => await runTests(process.argv.slice(2)));
  console.log(`${total.passed} passed, ${total.failed} failed`);
  return total.failed === 0 ? 0 : 1;
}

async function requirePrograms(): Promise<Tally> {
  const binDir = await requirePostgresPrograms();
  console.log(`PostgreSQL's programs: ${binDir}`);
  // Where one of these cannot be had, the tests that need it fail and say what to type.
  for (const install of [installPromtool, installSystemdAnalyze, installBsdtar]) {
    await install().catch((error: unknown) => console.log(String(error)));
  }
  return NOTHING;
}

async function check(command: string, args: readonly string[]): Promise<Tally> {
  return (await runTool(command, args)) === 0 ? NOTHING : FAULT;
}

async function runTests(args: readonly string[]): Promise<Tally> {
  const dir = await mkdtemp(join(tmpdir(), 'cofre-test-'));
  const report = join(dir, 'report.json');
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const status = await runTool('vitest', ['run', ...reporters, ...args]);
    const tally = tallyOf(JSON.parse(await readFile(report, 'utf8')) as Report);
    // A test that failed to clean up, or a set-up that failed, fails the run without failing a test.
    return status !== 0 && tally.failed === 0 ? { ...tally, failed: 1 } : tally;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** What is used of vitest's JSON report: one result per file. */
interface Report {
  testResults: { status: string; assertionResults: { status: string }[] }[];
}

function tallyOf(report: Report): Tally {
  let skipped = 0;
  const tally = { ...NOTHING };
  for (const { status, assertionResults } of report.testResults) {
    const count = (wanted: string) => assertionResults.filter((result) => result.status === wanted).length;
    const passed = count('passed');
    const failed = count('failed');
    tally.passed += passed;
    // A file that could not be loaded, or whose set-up failed, has no failed test.
    tally.failed += status === 'failed' ? Math.max(failed, 1) : failed;
    skipped += assertionResults.length - passed - failed;
  }
  if (skipped > 0) console.log(`${skipped} tests were not run`);
  return tally;
}

/** The exit status of a program of node_modules/.bin, its output on ours. */
async function runTool(command: string, args: readonly string[]): Promise<number> {
  const path = `${join(ROOT, 'node_modules/.bin')}${delimiter}${process.env['PATH'] ?? ''}`;
  const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, PATH: path }, stdio: 'inherit' });
  const [code] = (await once(child, 'close')) as [number | null];
  return code ?? 1;
}

process.exitCode = await main();
