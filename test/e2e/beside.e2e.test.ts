import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openRuns } from '../support/aftermath.ts';
import { waitFor } from '../support/wait-for.ts';
import { type BackupAnswer, type ErrorAnswer, type VerifyAnswer, Workspace } from '../support/workspace.ts';

/** The published index is at most this much behind. */
const INDEX_BEHIND_MS = 5_000;

test('commands work beside a running daemon, which sees what they did, and the index follows within 5 s', async () => {
  using workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob() }, retention: { days: 0, keepLast: 2 } });
  await using daemon = await workspace.startDaemon();
  const index = join(workspace.location, 'backups_metadata.json');
  const expectIndexFollows = async () => {
    const listed = await workspace.list();
    await waitFor(
      'the index',
      () => readFileSync(index, 'utf8') === `${JSON.stringify(listed, undefined, 1)}\n`,
      INDEX_BEHIND_MS,
    );
    return listed.map(({ filename }) => filename);
  };
  const taken = [];
  for (let count = 0; count < 4; count += 1) taken.push((await workspace.backup('app')).filename);
  expect(await expectIndexFollows()).toEqual(taken);
  const published = JSON.parse(readFileSync(index, 'utf8')) as Record<string, unknown>[];
  expect(published.every((manifest) => !('contents' in manifest) && manifest['version'] === 1)).toBe(true);
  const archives = async () => await daemon.metric('cofre_archives{source="tree",type="files"}');
  expect(await archives()).toBe(4);
  expect(await daemon.metric('cofre_runs_total{job="app",outcome="succeeded"}')).toBe(4);

  const [first = '', second = '', third = '', fourth = ''] = taken;
  expect((await workspace.run(['pin', first])).status).toBe(0);
  const refused = await workspace.run(['delete', first]);
  expect([refused.status, refused.json<ErrorAnswer>().error.code]).toEqual([1, 'ARCHIVE_PINNED']);
  const dry = await workspace.run(['prune', '--dry-run']);
  expect(dry.json()).toMatchObject({ removed_count: 0 });
  expect(await expectIndexFollows()).toEqual(taken);
  const pruned = await workspace.run(['prune']);
  expect(pruned.json()).toMatchObject({ removed_count: 1 });
  expect(await expectIndexFollows()).toEqual([first, third, fourth]);
  expect(await daemon.metric('cofre_pruned_total{source="tree"}')).toBe(1);
  expect(workspace.stored().join()).not.toContain(second);
  expect((await workspace.run(['unpin', first])).status).toBe(0);
  expect((await workspace.run(['delete', first])).status).toBe(0);
  expect(await expectIndexFollows()).toEqual([third, fourth]);
  expect(await archives()).toBe(2);
  const verified = await workspace.run(['verify', '--all']);
  expect(verified.json<VerifyAnswer>().results.map(({ valid }) => valid)).toEqual([true, true]);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
  expect(workspace.remains()).toEqual([]);
});

test('a run that is still busy is not overlapped: by the schedule it is skipped, journaled and counted', async () => {
  using workspace = new Workspace();
  workspace.configure({
    jobs: { slow: workspace.filesJob('* * * * * *', 'tree', { hooks: { before: ['sleep', '3'] } }) },
  });
  await using daemon = await workspace.startDaemon();
  const skipped = () => workspace.ended('slow').filter(({ outcome }) => outcome === 'skipped');
  await waitFor('a skip', () => skipped().length > 0);
  expect(skipped()[0]).toMatchObject({ errors: [{ code: 'SKIPPED' }], archives: [] });
  const started = () => workspace.journal().filter(({ event }) => event === 'started').length;
  await waitFor('the next run', () => started() > 1);
  // At no time were two open.
  let open = 0;
  for (const { event, ...entry } of workspace.journal()) {
    if (event === 'started') open += 1;
    if (event === 'ended' && 'outcome' in entry && entry.outcome !== 'skipped') open -= 1;
    expect(open).toBeLessThanOrEqual(1);
  }
  expect(await daemon.metric('cofre_runs_total{job="slow",outcome="skipped"}')).toBeGreaterThan(0);
  expect(await daemon.metric('cofre_job_missed_runs_total{job="slow"}')).toBeGreaterThan(0);
  expect(daemon.log().some(({ msg }) => /run of slow skipped/.test(msg))).toBe(true);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
  expect(openRuns(workspace.journal())).toEqual([]);
});

test('a command that runs a job holds up the schedule of that job, and waits for a run of the daemon', async () => {
  using workspace = new Workspace();
  const hooks = { before: ['sleep', '2'] };
  workspace.configure({ jobs: { app: workspace.filesJob('*/5 * * * * *', 'tree', { hooks }) } });
  await using daemon = await workspace.startDaemon();
  const running = () => openRuns(workspace.journal()).length === 1;
  await waitFor('a run of the daemon', running);
  const waited = await workspace.run(['backup', 'app']);
  expect(waited.json<BackupAnswer>().runs).toMatchObject([{ outcome: 'succeeded' }]);
  const runs = workspace.journal().filter(({ event }) => event !== 'scheduled');
  expect(runs.slice(0, 4).map(({ event }) => event)).toEqual(['started', 'ended', 'started', 'ended']);
  expect(await daemon.stop()).toMatchObject({ status: 0 });
});

test('a prune waits for another one, so that two at once do not both take their share of a series', async () => {
  using workspace = new Workspace();
  workspace.configure({ jobs: { app: workspace.filesJob() }, retention: { days: 0, keepLast: 2 } });
  for (let count = 0; count < 4; count += 1) await workspace.backup('app');
  const lock = join(workspace.location, '.locks/job.@prune');
  const holder = spawn('flock', [lock, 'sleep', '2']);
  let isHeld = true;
  holder.once('close', () => {
    isHeld = false;
  });
  const both = await Promise.all([workspace.run(['prune']), workspace.run(['prune'])]);
  expect(isHeld).toBe(false);
  expect(both.map(({ status }) => status)).toEqual([0, 0]);
  const removed = both.map((finished) => finished.json<{ removed_count: number }>().removed_count);
  expect(removed.toSorted((a, b) => a - b)).toEqual([0, 2]);
  expect((await workspace.list()).length).toBe(2);
  expect((await workspace.run(['verify', '--all'])).status).toBe(0);
});
