import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { BackupError } from '../../src/domain/errors.ts';
import type { Job } from '../../src/domain/job.ts';
import { parseJournalLine } from '../../src/domain/journal-entry.ts';
import { runJob } from '../../src/engine/run.ts';
import type { RunResult } from '../../src/engine/run-request.ts';
import { dumpText, failsAfter, FakeSource, fault, hangsAfter, NO_ABORT, yields } from '../support/fakes.ts';
import { pack, scratch } from '../support/file-tree.ts';
import { descendantsOf, isAlive } from '../support/processes.ts';
import { namesIn, temporaryDirectory } from '../support/temp-directory.ts';
import { openTestLocation, testJob, type TestLocation, testRequest } from '../support/test-location.ts';

const STOPPED = new BackupError('CANCELLED', 'stopped');

function run(bed: TestLocation, job: Job, signal = NO_ABORT): Promise<RunResult> {
  return runJob(bed.context, job, testRequest(bed.clock.now()), signal);
}

function failing(name: string): FakeSource {
  return new FakeSource({ name, bytes: failsAfter('--', new BackupError('TOOL_FAILED', 'pg_dump failed')) });
}

/** A files source of one file, of which something could not be read. */
function partlyUnreadable(): FakeSource {
  using home = scratch();
  const { archive } = pack({ roots: [{ path: home.path, as: 'tree' }] });
  const incomplete = [{ path: 'tree/secret', reason: 'permission denied' }];
  return new FakeSource({
    name: 'tree',
    format: 'tar',
    bytes: yields(archive),
    remarks: { changed: [], incomplete },
  });
}

async function entriesOf({ location }: TestLocation) {
  const text = await readFile(location.journal, 'utf8');
  return text.trim().split('\n').map(parseJournalLine);
}

/** Ends the processes that hold locks for us, as an out-of-memory killer might. */
function killLockHolders(): void {
  for (const { pid, command } of descendantsOf(process.pid)) {
    if (command === 'cat') process.kill(pid, 'SIGKILL');
  }
}

describe('a run', () => {
  test('that succeeds is in the journal with its start, its end and its archives', async () => {
    const bed = await openTestLocation();
    const sources = [new FakeSource(), new FakeSource({ name: 'other' })];
    const due = new Date('2026-11-20T12:00:00.000Z');
    const request = testRequest(bed.clock.now(), { due, missed: 2 });
    const result = await runJob(bed.context, testJob({ sources }), request, NO_ABORT);
    expect(result).toMatchObject({ job: 'nightly', run: request.run, outcome: 'succeeded', errors: [] });
    const identity = {
      run: request.run,
      job: 'nightly',
      trigger: 'schedule',
      actor: 'daemon',
      due: due.toISOString(),
    };
    expect(await entriesOf(bed)).toEqual([
      { event: 'started', at: '2026-11-20T12:00:15.000Z', ...identity, sources: ['app', 'other'] },
      {
        event: 'ended',
        at: '2026-11-20T12:00:15.000Z',
        ...identity,
        outcome: 'succeeded',
        duration_ms: 0,
        archives: result.archives.map(({ filename }) => filename),
        errors: [],
        missed: 2,
      },
    ]);
    expect(result.archives.map(({ source }) => source)).toEqual(['app', 'other']);
    expect(await bed.metric('cofre_runs_total', { job: 'nightly', outcome: 'succeeded' })).toBe(1);
    expect(await bed.metric('cofre_job_missed_runs_total', { job: 'nightly' })).toBe(2);
    expect(await bed.metric('cofre_runs_in_progress')).toBe(0);
  });

  test('one failing database aborts the rest: not here, and the run failed all the same', async () => {
    const bed = await openTestLocation();
    const sources = [new FakeSource(), failing('broken'), new FakeSource({ name: 'last' })];
    const result = await run(bed, testJob({ sources }));
    expect(result.outcome).toBe('failed');
    expect(result.archives.map(({ source }) => source)).toEqual(['app', 'last']);
    expect(result.errors).toMatchObject([{ code: 'TOOL_FAILED', source: 'broken' }]);
    expect(bed.context.catalogue.list()).toHaveLength(2);
  });

  test('reports every fault of a preflight as an error of its own', async () => {
    const bed = await openTestLocation();
    const findings = [fault('UNREADABLE', 'table a'), fault('UNREADABLE', 'table b')];
    const sources = [new FakeSource({ preflight: () => findings })];
    const { errors } = await run(bed, testJob({ sources }));
    expect(errors).toMatchObject([
      { code: 'UNREADABLE', message: 'table a', source: 'app', hint: 'Do something.' },
      { code: 'UNREADABLE', message: 'table b', source: 'app' },
    ]);
  });

  test('whose archive lacks something is incomplete', async () => {
    const bed = await openTestLocation();
    const result = await run(bed, testJob({ sources: [partlyUnreadable(), new FakeSource()] }));
    expect(result).toMatchObject({ outcome: 'incomplete', errors: [] });
    expect(result.archives.map(({ incomplete }) => incomplete)).toEqual([true, false]);
  });

  test('that takes too long failed with TIMEOUT, and left no partial', async () => {
    const bed = await openTestLocation();
    const sources = [new FakeSource({ bytes: hangsAfter('--') }), new FakeSource({ name: 'other' })];
    const result = await run(bed, testJob({ sources, timeout_ms: 300 }));
    expect(result).toMatchObject({
      outcome: 'failed',
      archives: [],
      errors: [{ code: 'TIMEOUT', source: 'app' }],
    });
    expect(await namesIn(join(bed.root, 'database'))).toEqual([]);
  });

  test('that a shutdown ends is cancelled, and left no partial', async () => {
    const bed = await openTestLocation();
    const controller = new AbortController();
    const bytes = hangsAfter('--', () => controller.abort(STOPPED));
    const result = await run(bed, testJob({ sources: [new FakeSource({ bytes })] }), controller.signal);
    expect(result).toMatchObject({ outcome: 'cancelled', errors: [{ code: 'CANCELLED' }] });
    expect(await namesIn(join(bed.root, 'database'))).toEqual([]);
    expect((await entriesOf(bed)).map((entry) => entry?.event)).toEqual(['started', 'ended']);
  });

  test('that a shutdown catches after its last source has succeeded', async () => {
    const controller = new AbortController();
    const bed = await openTestLocation();
    const { catalogue } = bed.context;
    const add = catalogue.add.bind(catalogue);
    Object.defineProperty(catalogue, 'add', {
      value: async (...args: Parameters<typeof add>) => {
        await add(...args);
        controller.abort(STOPPED);
      },
    });
    const result = await run(bed, testJob(), controller.signal);
    expect(result).toMatchObject({ outcome: 'succeeded', errors: [] });
  });

  test('that loses its lock failed with LOCK_LOST', async () => {
    const bed = await openTestLocation();
    const sources = [new FakeSource({ bytes: hangsAfter('--', killLockHolders) })];
    const result = await run(bed, testJob({ sources }));
    expect(result.outcome).toBe('failed');
    expect(result.errors[0]).toMatchObject({ code: 'LOCK_LOST' });
  });

  test('cannot be journaled on a broken disk, and makes its backup all the same', async () => {
    const bed = await openTestLocation();
    Object.defineProperty(bed.context.journal, 'append', {
      value: async () => {
        throw new BackupError('DISK_FULL', 'no space');
      },
    });
    expect(await run(bed, testJob())).toMatchObject({ outcome: 'succeeded' });
    expect(bed.context.catalogue.list()).toHaveLength(1);
    expect(await bed.metric('cofre_errors_total', { step: 'journal' })).toBe(2);
  });

  test('closes what an earlier one that died left open', async () => {
    const bed = await openTestLocation();
    await bed.context.journal.append({
      event: 'started',
      at: '2026-11-19T02:00:00.000Z',
      run: 'dead',
      job: 'nightly',
      trigger: 'schedule',
      actor: 'daemon',
      sources: ['app'],
    });
    await writeFile(join(bed.root, 'database', '.db_backup_app_20261119_020000.sql.gz.partial'), 'x');
    const { outcome } = await run(bed, testJob());
    expect(outcome).toBe('succeeded');
    expect((await entriesOf(bed))[1]).toMatchObject({
      run: 'dead',
      outcome: 'failed',
      errors: [{ code: 'INTERRUPTED' }],
    });
    expect(await namesIn(join(bed.root, 'database'))).toHaveLength(1);
  });
});

describe('a job that another process is running', () => {
  test('is skipped at once when a schedule asks, and that is journaled and counted', async () => {
    const bed = await openTestLocation();
    await using _lock = await bed.location.lock('job.nightly', NO_ABORT, 0);
    const request = testRequest(bed.clock.now(), { due: bed.clock.now() });
    const result = await runJob(bed.context, testJob(), request, NO_ABORT);
    expect(result).toMatchObject({ outcome: 'skipped', archives: [], errors: [{ code: 'SKIPPED' }] });
    expect(await entriesOf(bed)).toMatchObject([{ event: 'ended', outcome: 'skipped', missed: 1 }]);
    expect(await bed.metric('cofre_runs_total', { outcome: 'skipped' })).toBe(1);
  });

  test('is waited for when a person asks', async () => {
    const bed = await openTestLocation();
    const lock = await bed.location.lock('job.nightly', NO_ABORT, 0);
    const request = testRequest(bed.clock.now(), { trigger: 'cli' });
    const running = runJob(bed.context, testJob(), request, NO_ABORT);
    setTimeout(() => void lock[Symbol.asyncDispose](), 60);
    expect(await running).toMatchObject({ outcome: 'succeeded' });
  });
});

test('a run that cannot even begin failed, and is not called skipped', async () => {
  const bed = await openTestLocation();
  const job = testJob({ name: 'no/such/place' });
  const result = await run(bed, job);
  expect(result).toMatchObject({ outcome: 'failed', errors: [{ code: 'LOCATION_UNUSABLE' }] });
  expect(await bed.metric('cofre_runs_total', { job: job.name, outcome: 'failed' })).toBe(1);
  expect(await bed.metric('cofre_errors_total', { step: 'run' })).toBe(1);
  expect(bed.log.some(({ msg }) => msg.includes('skipped'))).toBe(false);
});

describe('hooks', () => {
  /** Appends what it was told to a file. */
  function hook(file: string, name: string, end = ''): string[] {
    const facts = '"$COFRE_JOB|$COFRE_RUN|$COFRE_OUTCOME|$COFRE_ARCHIVES"';
    return ['sh', '-c', `printf '%s\\n' '${name}' ${facts} >> ${file}; ${end}`];
  }

  async function told(file: string): Promise<string[]> {
    return (await readFile(file, 'utf8').catch(() => '')).trim().split('\n');
  }

  test('what a hook prints to stdout neither stops it nor becomes its error', async () => {
    const bed = await openTestLocation();
    const chatty = ['sh', '-c', 'head -c 20000000 /dev/zero; echo why >&2; exit 3'];
    const { outcome, errors } = await run(bed, testJob({ hooks: { before: chatty } }));
    expect(outcome).toBe('failed');
    expect(errors).toMatchObject([{ code: 'HOOK_FAILED' }]);
    expect(errors[0]?.message).toContain('exited with status 3: why');
  });

  test('what a hook leaves running holds up no run, and is left alone', async () => {
    const bed = await openTestLocation();
    const pids = join(await temporaryDirectory(), 'pids');
    const before = ['sh', '-c', `sleep 300 & echo $! > ${pids}; exit 0`];
    const controller = new AbortController();
    const { outcome, errors } = await run(bed, testJob({ hooks: { before } }), controller.signal);
    const pid = Number(await readFile(pids, 'utf8'));
    onTestFinished(() => {
      if (isAlive(pid)) process.kill(pid, 'SIGKILL');
    });
    controller.abort(STOPPED);
    expect({ outcome, errors }).toEqual({ outcome: 'succeeded', errors: [] });
    expect(isAlive(pid)).toBe(true);
  });

  test('run around a run and are told of it', async () => {
    const bed = await openTestLocation();
    const file = join(await temporaryDirectory(), 'told');
    const hooks = {
      before: hook(file, 'before'),
      after: hook(file, 'after'),
      failure: hook(file, 'failure'),
    };
    const sources = [new FakeSource(), new FakeSource({ name: 'other' })];
    const result = await run(bed, testJob({ sources, hooks }));
    const [first, second] = result.archives.map(({ filepath }) => filepath);
    expect(await told(file)).toEqual([
      'before',
      `nightly|${result.run}||`,
      'after',
      `nightly|${result.run}|succeeded|${first}`,
      `${second}`,
    ]);
  });

  test('of a run that failed are failure, then after', async () => {
    const bed = await openTestLocation();
    const file = join(await temporaryDirectory(), 'told');
    const hooks = { after: hook(file, 'after'), failure: hook(file, 'failure') };
    const { run: id } = await run(bed, testJob({ sources: [failing('app')], hooks }));
    expect(await told(file)).toEqual(['failure', `nightly|${id}|failed|`, 'after', `nightly|${id}|failed|`]);
  });

  test('a before that fails stops the run, with its message', async () => {
    const bed = await openTestLocation();
    const source = new FakeSource();
    const before = ['sh', '-c', 'echo the reason >&2; exit 4'];
    const result = await run(bed, testJob({ sources: [source], hooks: { before } }));
    expect(result).toMatchObject({ outcome: 'failed', archives: [] });
    expect(result.errors).toMatchObject([
      { code: 'HOOK_FAILED', message: expect.stringMatching(/status 4: the reason/) as string },
    ]);
    expect(source.preflights).toBe(0);
  });

  test('a before that does not exist, or is killed, stops it as well', async () => {
    const bed = await openTestLocation();
    for (const before of [['/nonexistent/hook'], ['sh', '-c', 'kill -9 $$']]) {
      const { outcome, errors } = await run(bed, testJob({ hooks: { before } }));
      expect(outcome).toBe('failed');
      expect(errors[0]).toMatchObject({ code: 'HOOK_FAILED', path: before[0] });
    }
  });

  test('an after that fails changes nothing of the run, and is counted', async () => {
    const bed = await openTestLocation();
    const result = await run(bed, testJob({ hooks: { after: ['false'] } }));
    expect(result).toMatchObject({ outcome: 'succeeded', errors: [] });
    expect(await bed.metric('cofre_errors_total', { step: 'hook' })).toBe(1);
  });

  test('one that hangs ends with the timeout of the job', async () => {
    const bed = await openTestLocation();
    const hooks = { before: ['sleep', '300'] };
    const result = await run(bed, testJob({ hooks, timeout_ms: 200 }));
    expect(result).toMatchObject({ outcome: 'failed', errors: [{ code: 'TIMEOUT' }] });
    const after = await run(bed, testJob({ hooks: { after: ['sleep', '300'] }, timeout_ms: 400 }));
    expect(after.outcome).toBe('succeeded');
    expect(bed.log.findLast(({ step }) => step === 'hook')).toMatchObject({
      level: 'error',
      code: 'TIMEOUT',
    });
  });

  test('of a run that a shutdown ends still run', async () => {
    const bed = await openTestLocation();
    const file = join(await temporaryDirectory(), 'told');
    const controller = new AbortController();
    const source = new FakeSource({ bytes: hangsAfter(dumpText(), () => controller.abort(STOPPED)) });
    const hooks = { failure: hook(file, 'failure') };
    await run(bed, testJob({ sources: [source], hooks }), controller.signal);
    expect((await told(file))[0]).toBe('failure');
  });
});
