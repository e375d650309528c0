import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type CronSchedule, nextDue, parseCron } from '../../src/domain/cron.ts';
import { fireTime } from '../../src/domain/due.ts';
import type { JournalEntry } from '../../src/domain/journal-entry.ts';
import { waitFor } from '../support/wait-for.ts';
import { type BackupAnswer, NEVER, Workspace } from '../support/workspace.ts';

const DAY_MS = 86_400_000;

/** A journal as an earlier daemon left it that has not run for four days. */
function leaveJournal(workspace: Workspace, job: string, schedule: string): void {
  const long_ago = new Date(Date.now() - 5 * DAY_MS);
  const parsed = parseCron(schedule, 'UTC');
  if (!parsed.ok) throw new Error(parsed.reason);
  const due = nextDue(parsed.cron, long_ago).toISOString();
  const run = { run: 'long-ago', job, trigger: 'schedule', actor: 'daemon', due } as const;
  const entries: JournalEntry[] = [
    { event: 'scheduled', at: long_ago.toISOString(), job, schedule, timezone: 'UTC' },
    { event: 'started', at: due, ...run, sources: ['tree'] },
    { event: 'ended', at: due, ...run, outcome: 'succeeded', duration_ms: 1, archives: [], errors: [] },
  ];
  mkdirSync(workspace.location, { mode: 0o700 });
  writeFileSync(
    join(workspace.location, 'journal.jsonl'),
    entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''),
  );
}

/** Daily, and not within this or the next hour. */
function dailyElsewhen(): string {
  return `0 ${(new Date().getUTCHours() + 12) % 24} * * *`;
}

test('missed and doubled runs: four days of downtime are made up for once, also over a second start', async () => {
  using workspace = new Workspace();
  const schedule = dailyElsewhen();
  leaveJournal(workspace, 'app', schedule);
  workspace.configure({ jobs: { app: workspace.filesJob(schedule) } });
  const [, first] = await (async () => {
    await using daemon = await workspace.startDaemon();
    const runs = await waitFor('the catch-up', () =>
      workspace.ended('app').length > 1 ? workspace.ended('app') : false,
    );
    expect(await daemon.metric('cofre_job_missed_runs_total{job="app"}')).toBeGreaterThanOrEqual(3);
    expect(await daemon.stop()).toMatchObject({ status: 0 });
    return runs;
  })();
  expect(first).toMatchObject({ trigger: 'catch-up', outcome: 'succeeded' });
  // The newest of the due times, and the others counted as missed.
  const parsed = parseCron(schedule, 'UTC') as { cron: CronSchedule };
  expect(Date.now() - Date.parse(first?.due ?? '')).toBeLessThan(DAY_MS);
  expect(nextDue(parsed.cron, new Date(first?.due ?? '')).getTime()).toBeGreaterThan(Date.now());
  expect(first?.missed).toBeGreaterThanOrEqual(3);

  await using again = await workspace.startDaemon();
  const { body } = await again.health();
  expect(body.jobs).toMatchObject([{ job: 'app', running: false, overdue: false }]);
  expect(await again.stop()).toMatchObject({ status: 0 });
  expect(workspace.ended('app').length).toBe(2);
});

test('missed and doubled runs: with catchUp off the miss is journaled, and the job is overdue', async () => {
  using workspace = new Workspace();
  const schedule = dailyElsewhen();
  leaveJournal(workspace, 'app', schedule);
  workspace.configure({ catchUp: false, jobs: { app: workspace.filesJob(schedule) } });
  await using daemon = await workspace.startDaemon();
  const skipped = await waitFor('the skip', () => workspace.ended('app')[1]);
  expect(skipped).toMatchObject({ outcome: 'skipped', errors: [{ code: 'SKIPPED' }] });
  const { status, body } = await daemon.health();
  expect(status).toBe(503);
  expect(body.jobs).toMatchObject([{ overdue: true }]);
  expect(await daemon.metric('cofre_job_overdue{job="app"}')).toBe(1);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
});

test('a new job waits for its first due time, and a disabled one for ever', async () => {
  using workspace = new Workspace();
  workspace.configure({
    jobs: {
      fresh: workspace.filesJob(dailyElsewhen(), 'fresh'),
      off: workspace.filesJob('* * * * * *', 'off', { enabled: false }),
      on: workspace.filesJob('* * * * * *', 'on'),
    },
  });
  await using daemon = await workspace.startDaemon();
  await waitFor('a run', () => workspace.ended('on').length > 1);
  expect([workspace.ended('fresh').length, workspace.ended('off').length]).toEqual([0, 0]);
  expect((await daemon.health()).status).toBe(200);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
});

/** The most runs of the journal that were under way at once. */
function mostAtOnce(entries: readonly JournalEntry[]): number {
  let now = 0;
  let most = 0;
  for (const { event } of entries) {
    if (event === 'started') now += 1;
    if (event === 'ended') now -= 1;
    most = Math.max(most, now);
  }
  return most;
}

test.each([1, 2])('jobs due at the same second run at most %i at once', async (concurrency) => {
  using workspace = new Workspace();
  const hooks = { before: ['sleep', '1'] };
  const names = ['one', 'two', 'three'];
  const jobs = Object.fromEntries(
    names.map((name) => [name, workspace.filesJob(workspace.dueIn(2, name), name, { hooks })]),
  );
  workspace.configure({ concurrency, jobs });
  await using daemon = await workspace.startDaemon();
  await waitFor('all three', () => names.every((name) => workspace.ended(name).length === 1));
  expect(mostAtOnce(workspace.journal())).toBe(concurrency);
  expect(names.map((name) => workspace.ended(name)[0]?.outcome)).toEqual([
    'succeeded',
    'succeeded',
    'succeeded',
  ]);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
});

test('jitter delays a run by what its name and due time say, and the plan shows it', async () => {
  using workspace = new Workspace();
  const schedule = '*/4 * * * * *';
  workspace.configure({ jobs: { app: workspace.filesJob(schedule, 'tree', { jitter: '2s' }) } });
  const plan = (await workspace.run(['schedule'])).json<{ jobs: { next: string[] }[] }>();
  await using daemon = await workspace.startDaemon();
  const run = await waitFor('a run', () => workspace.ended('app')[0]);
  const parsed = parseCron(schedule, 'UTC') as { cron: CronSchedule };
  const fire = fireTime(parsed.cron, 'app', new Date(run.due ?? ''), 2_000);
  const started = workspace.journal().find(({ event }) => event === 'started');
  expect(Date.parse(started?.at ?? '')).toBeGreaterThanOrEqual(fire.getTime());
  expect(plan.jobs[0]?.next).toContain(fire.toISOString());
  expect(await daemon.stop()).toMatchObject({ status: 0 });
});

test('hooks are told about the run; after comes always, failure before it, and a failing before stops the run', async () => {
  using workspace = new Workspace();
  const log = join(workspace.dir, 'hooks');
  const script = join(workspace.dir, 'hook');
  const body = `#!/bin/sh
echo "$1 job=$COFRE_JOB outcome=$COFRE_OUTCOME run=\${COFRE_RUN:+set} archives=$COFRE_ARCHIVES" >> '${log}'
exit "$2"
`;
  writeFileSync(script, body, { mode: 0o755 });
  const hooks = (status: number) => ({
    before: [script, 'before', String(status)],
    after: [script, 'after', '0'],
    failure: [script, 'failure', '7'],
  });
  const bad = { type: 'files', name: 'bad', directories: [join(workspace.dir, 'missing')] };
  workspace.configure({
    jobs: {
      good: workspace.filesJob(NEVER, 'tree', { hooks: hooks(0) }),
      failing: { schedule: NEVER, sources: [bad], hooks: hooks(0) },
      stopped: workspace.filesJob(NEVER, 'other', { hooks: hooks(3) }),
    },
  });
  const told = () => {
    const lines = readFileSync(log, 'utf8').trim().split('\n');
    writeFileSync(log, '');
    return lines;
  };
  const manifest = await workspace.backup('good');
  expect(told()).toEqual([
    'before job=good outcome= run=set archives=',
    `after job=good outcome=succeeded run=set archives=${workspace.path(manifest)}`,
  ]);
  expect((await workspace.run(['backup', 'failing'])).status).toBe(1);
  expect(told()).toEqual([
    'before job=failing outcome= run=set archives=',
    'failure job=failing outcome=failed run=set archives=',
    'after job=failing outcome=failed run=set archives=',
  ]);
  const stopped = await workspace.run(['backup', 'stopped']);
  expect(stopped.status).toBe(1);
  expect(stopped.json<BackupAnswer>().runs).toMatchObject([
    { outcome: 'failed', archives: [], errors: [{ code: 'HOOK_FAILED' }] },
  ]);
  expect(told()[0]).toBe('before job=stopped outcome= run=set archives=');
  expect((await workspace.list()).map(({ source }) => source)).toEqual(['tree']);
});

test('retention and scrub run on their schedules, and what the scrub finds makes the health red', async () => {
  using workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob() } });
  const taken = [];
  for (let count = 0; count < 3; count += 1) taken.push(await workspace.backup('app'));
  const newest = taken.at(-1);
  if (newest === undefined) throw new Error('no backup');
  const archive = workspace.path(newest);
  const bytes = readFileSync(archive);
  writeFileSync(archive, Buffer.concat([bytes.subarray(0, -1), Buffer.from([(bytes.at(-1) ?? 0) ^ 1])]));
  workspace.configure({
    jobs: { app: workspace.filesJob() },
    scrub: { schedule: workspace.dueIn(2, '@scrub'), share: 1 },
    retention: { days: 0, keepLast: 1, schedule: workspace.dueIn(4, '@prune') },
  });
  await using daemon = await workspace.startDaemon();
  expect((await daemon.health()).status).toBe(200);
  await waitFor('the scrub', () => workspace.ended('@scrub').length === 1);
  expect((await daemon.health()).status).toBe(503);
  await waitFor('the prune', () => workspace.ended('@prune').length === 1);
  // The broken one counts for nothing: the newest that verifies stays, and the broken one as evidence.
  const left = (await workspace.list()).map(({ filename }) => filename);
  expect(left).toEqual(taken.slice(1).map(({ filename }) => filename));
  expect(await daemon.metric('cofre_verify_total{source="tree",result="fault"}')).toBe(1);
  expect(await daemon.metric('cofre_prune_last_success_timestamp_seconds')).toBeGreaterThan(0);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
});
