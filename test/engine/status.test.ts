import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { parseCron } from '../../src/domain/cron.ts';
import type { Job } from '../../src/domain/job.ts';
import { ANOMALY_KINDS } from '../../src/domain/manifest.ts';
import type { JobSeen } from '../../src/domain/journal-entry.ts';
import { acknowledge } from '../../src/engine/acknowledge.ts';
import { prune } from '../../src/engine/prune.ts';
import { runJob } from '../../src/engine/run.ts';
import type { ScheduledJob } from '../../src/engine/scheduled-job.ts';
import { Status } from '../../src/engine/status.ts';
import { verifyArchive } from '../../src/engine/verify.ts';
import { FakeClock, FakeSource, fault, NO_ABORT } from '../support/fakes.ts';
import { backUp, dumpOf } from '../support/shrinking.ts';
import { addBackup, daily } from '../support/stock.ts';
import { openTestLocation, testJob, type TestLocation, testRequest } from '../support/test-location.ts';

const NOBODY: ReadonlySet<string> = new Set();
const UNREACHABLE = new FakeSource({ preflight: () => [fault('SERVER_AUTH', 'no')] });
/** Everything is kept. */
const KEEP = { days: 0, keepLast: 99, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };

function scheduled(facts: Partial<Job> = {}): ScheduledJob {
  const job = testJob(facts);
  const parsed = parseCron(job.schedule, job.timezone);
  if (!parsed.ok) throw new Error(parsed.reason);
  return { job, cron: parsed.cron };
}

function statusOf(bed: TestLocation): Status {
  return new Status(bed.context, bed.metrics);
}

/** What a daemon that starts again sees. */
async function restarted(bed: TestLocation): Promise<TestLocation> {
  return await openTestLocation({ root: bed.root, clock: bed.clock });
}

function seen(at: string): JobSeen {
  return { event: 'scheduled', at, job: 'nightly', schedule: '0 2 * * *', timezone: 'UTC' };
}

/** Every sample of our metrics but those of this process. */
async function samples(bed: TestLocation): Promise<string[]> {
  const text = await bed.metrics.registry.metrics();
  return text
    .split('\n')
    .filter((line) => line.startsWith('cofre_') && !/^cofre_(location_free|errors|verify_total)/.test(line))
    .toSorted();
}

describe('the health report', () => {
  test('of a new location is ok: nothing was due yet', async () => {
    const bed = await openTestLocation();
    const report = await statusOf(bed).health([scheduled()], NOBODY);
    expect(report).toEqual({
      status: 'ok',
      version: '0.0.0-test',
      uptime: 0,
      problems: [],
      warnings: [],
      jobs: [
        {
          job: 'nightly',
          enabled: true,
          last_success: null,
          last_outcome: null,
          last_run_at: null,
          next_run: '2026-11-21T02:00:00.000Z',
          overdue: false,
          overdue_since: null,
          running: false,
        },
      ],
      series: [],
    });
  });

  test('tells last success, last outcome, the series, and what is running', async () => {
    const bed = await openTestLocation();
    const { archives } = await runJob(bed.context, testJob(), testRequest(bed.clock.now()), NO_ABORT);
    const report = await statusOf(bed).health([scheduled()], new Set(['nightly']));
    expect(report.jobs).toMatchObject([
      { last_success: '2026-11-20T12:00:15.000Z', last_outcome: 'succeeded', running: true },
    ]);
    expect(report.series).toEqual([
      {
        source: 'app',
        archives: 1,
        newest: archives[0]?.filename,
        newest_at: '2026-11-20T12:00:15.000Z',
        verified: true,
        verified_at: '2026-11-20T12:00:15.000Z',
        missing: false,
        anomaly: null,
        faulty: [],
        proof: null,
      },
    ]);
  });

  test('status stays green after a failure: not here, until a run succeeds', async () => {
    const bed = await openTestLocation();
    const status = statusOf(bed);
    const jobs = [scheduled()];
    const broken = testJob({ sources: [UNREACHABLE] });
    await runJob(bed.context, broken, testRequest(bed.clock.now()), NO_ABORT);
    expect(await status.health(jobs, NOBODY)).toMatchObject({
      status: 'failing',
      problems: ['the last run of job nightly failed'],
    });
    // It is red after a restart, too.
    const later = await restarted(bed);
    expect((await statusOf(later).health(jobs, NOBODY)).status).toBe('failing');
    await runJob(later.context, testJob(), testRequest(bed.clock.now()), NO_ABORT);
    expect((await status.health(jobs, NOBODY)).status).toBe('ok');
  });

  test('is red while the newest archive of a series does not verify, not for an older one', async () => {
    const bed = await openTestLocation();
    for (const day of [1, 2]) await addBackup(bed, daily(day));
    const scope = { job: '@verify', run: '', actor: 'x' };
    const health = async () => (await statusOf(bed).health([], NOBODY)).problems;
    await rm(bed.location.archivePath('database', daily(1)));
    await verifyArchive(bed.context, daily(1), 'contents', scope, NO_ABORT);
    expect(await health()).toEqual([]);
    const path = bed.location.archivePath('database', daily(2));
    // As long as before, so that only reading it tells the difference.
    await writeFile(path, Buffer.alloc((await stat(path)).size));
    await verifyArchive(bed.context, daily(2), 'contents', scope, NO_ABORT);
    expect(await health()).toEqual([`the newest archive ${daily(2)} does not verify`]);
  });

  test('is red as soon as the file of the newest archive is gone, before anything verifies it', async () => {
    const bed = await openTestLocation();
    for (const day of [1, 2]) await addBackup(bed, daily(day));
    await rm(bed.location.archivePath('database', daily(2)));
    const { problems, series } = await statusOf(bed).health([], NOBODY);
    expect(problems).toEqual([`the file of the newest archive ${daily(2)} is gone or was changed`]);
    expect(series).toMatchObject([{ newest: daily(2), verified: false, missing: true }]);
  });

  test('an archive dated by a wrong clock is the newest only where there is no other', async () => {
    const bed = await openTestLocation();
    const future = 'db_backup_app_20990101_000000.sql.gz';
    await addBackup(bed, future);
    const newest = async () => (await statusOf(bed).health([], NOBODY)).series[0]?.newest;
    expect(await newest()).toBe(future);
    await addBackup(bed, daily(2));
    expect(await newest()).toBe(daily(2));
  });

  test('every archive that does not verify is a warning, older ones too, until it verifies again', async () => {
    const bed = await openTestLocation();
    const scope = { job: '@verify', run: '', actor: 'x' };
    for (const day of [1, 2, 3]) await addBackup(bed, daily(day));
    await addBackup(bed, daily(1, 'other'));
    const path = (day: number) => bed.location.archivePath('database', daily(day));
    const bytes = await readFile(path(2));
    for (const day of [1, 2]) {
      await writeFile(path(day), 'damaged');
      await verifyArchive(bed.context, daily(day), 'contents', scope, NO_ABORT);
    }
    const report = await statusOf(bed).health([], NOBODY);
    expect(report).toMatchObject({
      status: 'ok',
      warnings: [`${daily(1)} does not verify`, `${daily(2)} does not verify`],
      series: [
        { source: 'app', faulty: [daily(1), daily(2)] },
        { source: 'other', faulty: [] },
      ],
    });
    await writeFile(path(2), bytes);
    await verifyArchive(bed.context, daily(2), 'contents', scope, NO_ABORT);
    expect((await statusOf(bed).health([], NOBODY)).series[0]?.faulty).toEqual([daily(1)]);
  });

  test('an anomaly of the newest archive is a warning until someone acknowledges it or the data are back', async () => {
    const bed = await openTestLocation();
    const full = await backUp(bed, dumpOf(1000));
    const less = await backUp(bed, dumpOf(10));
    const health = async () => await statusOf(bed).health([], NOBODY);
    expect(await health()).toMatchObject({
      status: 'ok',
      problems: [],
      warnings: [expect.stringContaining(`${less.filename} holds less than ${full.filename}: all tables:`)],
    });
    const { findings } = less.anomaly ?? {};
    expect((await health()).series[0]?.anomaly).toEqual({ baseline: full.filename, findings });
    await acknowledge(bed.context, less.filename, 'cli:alice', NO_ABORT);
    expect(await health()).toMatchObject({ warnings: [], series: [{ anomaly: null }] });
    await backUp(bed, dumpOf(1));
    expect((await health()).warnings).toHaveLength(1);
    await backUp(bed, dumpOf(10));
    expect(await health()).toMatchObject({ warnings: [], series: [{ anomaly: null }] });
  });

  test('a retention that is held back is a warning, which does not make it red', async () => {
    const bed = await openTestLocation();
    for (const day of [1, 2, 3]) await addBackup(bed, daily(day));
    const policy = { days: 0, keepLast: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 };
    const policyOf = () => ({ policy, timezone: 'UTC' });
    const request = { policyOf, dryRun: false, trigger: 'schedule', actor: 'daemon' } as const;
    await prune(bed.context, { ...request, force: false }, NO_ABORT);
    const held = await statusOf(bed).health([], NOBODY);
    expect(held).toMatchObject({ status: 'ok', warnings: [expect.stringContaining('2 of 3 archives')] });
    await prune(bed.context, { ...request, force: true }, NO_ABORT);
    expect((await statusOf(bed).health([], NOBODY)).warnings).toEqual([]);
  });

  test('is red once a job is overdue: grace and its usual duration after a due time', async () => {
    const bed = await openTestLocation();
    const status = statusOf(bed);
    const jobs = [scheduled({ grace_ms: 3_600_000 })];
    await bed.context.journal.append(seen('2026-11-20T12:00:00.000Z'));
    for (const [now, overdue] of [
      ['2026-11-21T02:59:59Z', false],
      ['2026-11-21T03:00:01Z', true],
      ['2026-11-23T12:00:00Z', true],
    ] as const) {
      bed.clock.set(now);
      const report = await status.health(jobs, NOBODY);
      expect(report.jobs[0]).toMatchObject({
        overdue,
        overdue_since: overdue ? '2026-11-21T02:00:00.000Z' : null,
      });
      await status.updateGauges(jobs);
      expect(await bed.metric('cofre_job_overdue', { job: 'nightly' })).toBe(overdue ? 1 : 0);
    }
    await runJob(bed.context, testJob(), testRequest(bed.clock.now()), NO_ABORT);
    expect((await status.health(jobs, NOBODY)).status).toBe('ok');
  });

  test('a daemon that was down does not forget since when a job is overdue', async () => {
    const bed = await openTestLocation();
    await bed.context.journal.append(seen('2026-11-10T12:00:00.000Z'));
    const later = await restarted(bed);
    const report = await statusOf(later).health([scheduled()], NOBODY);
    expect(report.jobs[0]?.overdue_since).toBe('2026-11-11T02:00:00.000Z');
  });

  test('leaves a disabled job out of the verdict, and tells no next run of it', async () => {
    const bed = await openTestLocation();
    await bed.context.journal.append(seen('2026-11-10T12:00:00.000Z'));
    const report = await statusOf(bed).health([scheduled({ enabled: false })], NOBODY);
    expect(report).toMatchObject({ status: 'ok', jobs: [{ overdue: false, next_run: null }] });
  });

  test('says so when the location went away, and does not throw', async () => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(1));
    const status = statusOf(bed);
    await status.updateGauges([]);
    await rm(bed.root, { recursive: true });
    const report = await status.health([scheduled()], NOBODY);
    expect(report.status).toBe('failing');
    expect(report.problems[0]).toContain(bed.root);
    await status.updateGauges([scheduled()]);
    expect(await bed.metric('cofre_location_bytes')).toBeUndefined();
  });
});

describe('the gauges', () => {
  test('are right again after a restart, counters from the journal as well', async () => {
    const bed = await openTestLocation({ clock: new FakeClock('2026-11-20T12:00:15Z') });
    const jobs = [scheduled(), scheduled({ name: 'weekly', schedule: '0 3 * * 0', sources: [UNREACHABLE] })];
    for (const { job } of [...jobs, ...jobs]) {
      await runJob(bed.context, job, testRequest(bed.clock.now(), { missed: 2 }), NO_ABORT);
      bed.clock.advance(1_000);
    }
    await prune(
      bed.context,
      {
        policyOf: () => ({ policy: KEEP, timezone: 'UTC' }),
        dryRun: false,
        force: false,
        trigger: 'schedule',
        actor: 'daemon',
      },
      NO_ABORT,
    );
    await statusOf(bed).updateGauges(jobs);
    const before = await samples(bed);
    const after = await restarted(bed);
    await statusOf(after).updateGauges(jobs);
    expect(await samples(after)).toEqual(before);
    expect(await after.metric('cofre_runs_total', { job: 'nightly', outcome: 'succeeded' })).toBe(2);
    expect(await after.metric('cofre_runs_total', { job: 'weekly', outcome: 'failed' })).toBe(2);
    expect(await after.metric('cofre_job_missed_runs_total', { job: 'nightly' })).toBe(4);
    expect(await after.metric('cofre_archives', { source: 'app', type: 'database' })).toBe(2);
    expect(await after.metric('cofre_archive_last_raw_bytes')).toBe(
      bed.context.catalogue.list()[0]?.raw_size,
    );
    expect(await after.metric('cofre_job_next_run_timestamp_seconds', { job: 'weekly' })).toBe(
      Date.parse('2026-11-22T03:00:00Z') / 1000,
    );
    // Scraping again counts nothing twice.
    await statusOf(after).updateGauges(jobs);
    expect(await samples(after)).toEqual(before);
  });

  test('follow what another process does', async () => {
    const bed = await openTestLocation();
    const status = statusOf(bed);
    await status.updateGauges([scheduled()]);
    const other = await restarted(bed);
    await runJob(other.context, testJob(), testRequest(bed.clock.now()), NO_ABORT);
    await status.updateGauges([scheduled()]);
    expect(await bed.metric('cofre_runs_total', { outcome: 'succeeded' })).toBe(1);
    expect(await bed.metric('cofre_job_last_success_timestamp_seconds')).toBe(
      bed.clock.now().getTime() / 1000,
    );
    expect(await bed.metric('cofre_location_bytes')).toBe(other.context.catalogue.list()[0]?.size);
  });

  test('a time that never was is absent, not 0', async () => {
    const bed = await openTestLocation();
    await statusOf(bed).updateGauges([scheduled()]);
    for (const name of [
      'cofre_prune_last_success_timestamp_seconds',
      'cofre_job_last_success_timestamp_seconds',
      'cofre_verify_last_success_timestamp_seconds',
    ]) {
      expect(await bed.metric(name)).toBeUndefined();
    }
    expect(await bed.metrics.registry.metrics()).not.toMatch(/^cofre_prune_last_success_timestamp_seconds /m);
  });

  test('drop what is gone: a job, a source, the last archive', async () => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(1));
    const status = statusOf(bed);
    await status.updateGauges([scheduled()]);
    await bed.context.catalogue.remove(daily(1), () => undefined, NO_ABORT);
    await status.updateGauges([scheduled({ name: 'other' })]);
    expect(await bed.metric('cofre_job_overdue', { job: 'nightly' })).toBeUndefined();
    expect(await bed.metric('cofre_archives', { source: 'app' })).toBeUndefined();
    expect(await bed.metric('cofre_location_bytes')).toBe(0);
  });

  test('a disabled job has no next run', async () => {
    const bed = await openTestLocation();
    await statusOf(bed).updateGauges([scheduled({ enabled: false })]);
    expect(await bed.metric('cofre_job_next_run_timestamp_seconds')).toBeUndefined();
  });

  test('every outcome and step has its series from the start, so that a first failure is a step up', async () => {
    const bed = await openTestLocation();
    await addBackup(bed, daily(1));
    await statusOf(bed).updateGauges([scheduled()]);
    expect(await bed.metric('cofre_runs_total', { job: 'nightly', outcome: 'failed' })).toBe(0);
    expect(await bed.metric('cofre_errors_total', { step: 'capture' })).toBe(0);
    for (const kind of ANOMALY_KINDS) {
      expect(await bed.metric('cofre_anomalies_total', { source: 'app', kind })).toBe(0);
    }
    expect(await bed.metric('cofre_runs_in_progress')).toBe(0);
    expect(await bed.metric('cofre_build_info', { version: '0.0.0-test' })).toBe(1);
  });
});
