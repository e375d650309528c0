import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { App } from '../../src/compose.ts';
import { newRunId } from '../../src/engine/journaling.ts';
import { prune } from '../../src/engine/prune.ts';
import { runJob } from '../../src/engine/run.ts';
import { expectListedVerify, expectOrderAfterStart, openApp, openRuns } from '../support/aftermath.ts';
import { ROOT } from '../support/cofre.ts';
import { Workspace } from '../support/workspace.ts';

const KILL_AT = join(ROOT, 'test/support/kill-at.ts');
/** No operation makes so many changes; more means that the enumeration does not end. */
const STEPS_MAX = 200;
/** Runs side by side, each on a location of its own. */
const LANES = 3;
/** Each test is as many processes as there are steps; this is for machines that are slow. */
vi.setConfig({ testTimeout: 240_000 });

const forever = new AbortController().signal;

/** A location with three backups, of which `prune` removes the oldest. */
let template: Workspace;
let filenames: string[];

beforeAll(async () => {
  template = new Workspace();
  configure(template);
  filenames = [];
  for (let count = 0; count < 3; count += 1) filenames.push((await template.backup('app')).filename);
});

afterAll(() => template[Symbol.dispose]());

function configure(workspace: Workspace): void {
  workspace.configure({ jobs: { app: workspace.filesJob() }, retention: { days: 0, keepLast: 2 } });
}

function fromTemplate(): Workspace {
  return copyOf(template);
}

function copyOf(workspace: Workspace): Workspace {
  const copy = new Workspace();
  cpSync(workspace.location, copy.location, { recursive: true });
  configure(copy);
  return copy;
}

/**
 * Runs a command once for each change it makes to the disk, killed at that change, and calls `check` on what
 * is left. Returns how many there are.
 * @param upTo only the first changes.
 */
async function killAtEveryStep(
  args: readonly string[],
  create: () => Workspace,
  check: (workspace: Workspace) => Promise<void>,
  upTo = Number.POSITIVE_INFINITY,
): Promise<number> {
  let next = 1;
  let last = upTo + 1;
  const lane = async (): Promise<void> => {
    for (;;) {
      const step = next;
      next += 1;
      if (step >= last) return;
      if (step > STEPS_MAX) throw new Error(`${args.join(' ')} never ran to its end`);
      using workspace = create();
      const finished = await workspace.run(args, {
        nodeArgs: ['--import', KILL_AT],
        env: { COFRE_TEST_KILL_AT: String(step) },
      });
      if (finished.status === 0) {
        last = Math.min(last, step);
        return;
      }
      if (finished.signal !== 'SIGKILL') throw new Error(`${args.join(' ')} failed: ${finished.stderr}`);
      const where = finished.stderr.trim().split('\n').at(-1);
      await check(workspace).catch((cause: unknown) => {
        throw new Error(`${args.join(' ')} ${where}: ${(cause as Error).message}`, { cause });
      });
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return last - 1;
}

test('kill -9 at every step of a backup: what is listed verifies, and the next start needs no help', async () => {
  const steps = await killAtEveryStep(['backup', 'app'], fromTemplate, async (workspace) => {
    using untouched = copyOf(workspace);
    const app = await openApp(workspace);
    await expectListedVerify(app);
    const before = app.context.catalogue.list().map(({ filename }) => filename);
    // The earlier backups are there, and at most the new one beside them.
    expect(before.slice(0, 3)).toEqual(filenames);
    expect(before.length).toBeLessThanOrEqual(4);
    await expectOrderAfterStart(workspace, app);
    await expectNextRunSucceeds(app, before.length + 1);
    await expectCommandNeedsNoDaemon(untouched, before.length + 1);
  });
  expect(steps).toBeGreaterThan(25);
});

test('kill -9 while a new location is made: the next run makes what is missing', async () => {
  const create = () => {
    const workspace = new Workspace();
    configure(workspace);
    return workspace;
  };
  const check = (workspace: Workspace) => expectCommandNeedsNoDaemon(workspace, 1);
  expect(await killAtEveryStep(['backup', 'app'], create, check, 8)).toBe(8);
});

/** The command run again, with no daemon to tidy up before. */
async function expectCommandNeedsNoDaemon(workspace: Workspace, expected: number): Promise<void> {
  const app = await openApp(workspace);
  const earlier = workspace
    .ended('app')
    .filter(({ archives }) => filenames.includes(archives[0] ?? '')).length;
  await expectNextRunSucceeds(app, expected);
  await expectListedVerify(app);
  expect(workspace.stored().filter((path) => path.endsWith('.partial'))).toEqual([]);
  expect(openRuns(workspace.journal())).toEqual([]);
  const codes = workspace.ended('app').map(({ errors }) => errors[0]?.code);
  // No end for a run that never began, INTERRUPTED for one that did, none for one that had ended.
  expect([[undefined], ['INTERRUPTED', undefined], [undefined, undefined]]).toContainEqual(
    codes.slice(earlier),
  );
}

async function expectNextRunSucceeds(app: App, expected: number): Promise<void> {
  const [scheduled] = app.jobs;
  if (scheduled === undefined) throw new Error('the job is not configured');
  const startedAt = new Date();
  // The kernel frees the lock of the dead once its holder has seen the end of its pipe: some milliseconds.
  const request = { run: newRunId(startedAt), startedAt, trigger: 'cli', actor: 'test' } as const;
  const result = await runJob(app.context, scheduled.job, request, forever);
  expect(result).toMatchObject({ outcome: 'succeeded', errors: [] });
  expect(app.context.catalogue.list().length).toBe(expected);
}

test('kill -9 at every step of a prune: the next start finishes what was begun, and the next prune the rest', async () => {
  const steps = await killAtEveryStep(['prune'], fromTemplate, async (workspace) => {
    const app = await openApp(workspace);
    await expectListedVerify(app);
    await expectOrderAfterStart(workspace, app);
    const listed = app.context.catalogue.list().map(({ filename }) => filename);
    expect(listed.slice(-2)).toEqual(filenames.slice(-2));
    const { policyOf } = app;
    const request = { policyOf, dryRun: false, force: false, trigger: 'schedule', actor: 'test' } as const;
    const { errors } = await prune(app.context, request, forever);
    expect(errors).toEqual([]);
    expect(app.context.catalogue.list().map(({ filename }) => filename)).toEqual(filenames.slice(-2));
    await expectOrderAfterStart(workspace, app);
  });
  expect(steps).toBeGreaterThan(10);
});

test('kill -9 at every step of a deletion: the backup is either there and whole, or gone', async () => {
  const [, doomed = ''] = filenames;
  const steps = await killAtEveryStep(['delete', doomed], fromTemplate, async (workspace) => {
    const app = await openApp(workspace);
    await expectListedVerify(app);
    await expectOrderAfterStart(workspace, app);
    const listed = app.context.catalogue.list().map(({ filename }) => filename);
    const isThere = listed.includes(doomed);
    expect(listed).toEqual(isThere ? filenames : filenames.filter((filename) => filename !== doomed));
    expect(workspace.stored().includes(`files/${doomed}`)).toBe(isThere);
  });
  expect(steps).toBeGreaterThan(5);
});
