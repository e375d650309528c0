import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { composeApp } from '../src/compose.ts';
import { composeJobs, cronOf, policiesOf } from '../src/compose-jobs.ts';
import type { Config, JobConfig } from '../src/config/config.ts';
import { runJob } from '../src/engine/run.ts';
import { verifyArchive } from '../src/engine/verify.ts';
import { FakeClock, FakeSource, NO_ABORT } from './support/fakes.ts';
import { namesIn, temporaryDirectory } from './support/temp-directory.ts';
import { NOW, testJob, testRequest } from './support/test-location.ts';

const SILENT = pino({ level: 'silent' });
const NO_PATTERNS = { schemas: [], tables: [] };

async function config(facts: Partial<Config> = {}): Promise<Config> {
  const directory = await temporaryDirectory();
  const tree = join(directory, 'tree');
  await mkdir(tree);
  await writeFile(join(tree, 'note.txt'), 'a note\n');
  const job: JobConfig = {
    ...testJob({ timezone: 'Europe/Lisbon' }),
    sources: [{ type: 'files', name: 'tree', directories: [{ name: 'tree', path: tree }], exclude: [] }],
  };
  return {
    enabled: true,
    timezone: 'UTC',
    location: join(directory, 'location'),
    jobs: [job],
    concurrency: 1,
    requireMount: false,
    scratch: {},
    retention: { schedule: '30 3 * * *', policy: { ...job.retention, days: 7 } },
    http: {
      host: '127.0.0.1',
      port: 0,
      socketMode: 0o660,
      tokens: [],
      metrics: 'public',
      trustedProxies: [],
      restoreTargets: [],
    },
    notify: [],
    ...facts,
  };
}

describe('an app', () => {
  test('backs up, lists, verifies and publishes with the adapters of the machine', async () => {
    const clock = new FakeClock(NOW);
    const app = await composeApp(await config(), SILENT, { create: true }, { clock });
    const [scheduled] = app.jobs;
    if (scheduled === undefined) throw new Error('no job');
    const { outcome, archives } = await runJob(
      app.context,
      scheduled.job,
      testRequest(clock.now()),
      NO_ABORT,
    );
    expect(outcome).toBe('succeeded');
    const filename = archives[0]?.filename ?? '';
    expect(archives[0]).toMatchObject({
      type: 'files',
      directories: ['tree'],
      contents: { entries: 2, bytes: 7 },
      timestamp: '20261120_120015',
    });
    const scope = { job: '@verify', run: '', actor: 'x' };
    expect((await verifyArchive(app.context, filename, 'contents', scope, NO_ABORT)).valid).toBe(true);
    await app.index.publish(NO_ABORT);
    expect(await namesIn(app.context.location.root)).toEqual([
      '.locks',
      'backups_metadata.json',
      'database',
      'files',
      'journal.jsonl',
      'manifests',
    ]);
    const report = await app.status.health(app.jobs, new Set());
    expect(report).toMatchObject({
      status: 'ok',
      jobs: [{ job: 'nightly', next_run: '2026-11-21T02:00:00.000Z' }],
    });
  });

  test('at a location that is missing is made only when it may be', async () => {
    const missing = await config();
    await expect(composeApp(missing, SILENT, { create: false })).rejects.toMatchObject({
      code: 'LOCATION_UNUSABLE',
    });
    const app = await composeApp(missing, SILENT, { create: true });
    expect(app.context.location.root).toBe(missing.location);
  });

  test('two of them share nothing', async () => {
    const one = await composeApp(await config(), SILENT, { create: true });
    const two = await composeApp(await config(), SILENT, { create: true });
    one.events.failed('index', {}, (await import('../src/domain/errors.ts')).toBackupError(new Error('x')));
    expect(await one.metrics.registry.metrics()).toContain('cofre_errors_total{step="index"} 1');
    expect(await two.metrics.registry.metrics()).toContain('cofre_errors_total{step="index"} 0');
  });
});

test('a location inside a directory that is backed up is in none of its archives', async () => {
  const whole = await config();
  const location = join(dirname(whole.location), 'tree', 'backups');
  const app = await composeApp({ ...whole, location }, SILENT, { create: true });
  const [scheduled] = app.jobs;
  if (scheduled === undefined) throw new Error('no job');
  for (let count = 0; count < 2; count += 1) {
    const request = testRequest(new Date());
    const { outcome, archives } = await runJob(app.context, scheduled.job, request, NO_ABORT);
    expect(outcome).toBe('succeeded');
    expect(archives[0]?.contents).toMatchObject({ entries: 2, bytes: 7, changed: [], incomplete: [] });
  }
});

test('every source that cannot be opened is told at once, and nothing is made before', async () => {
  const whole = await config();
  const postgres = (name: string, url: string) => ({
    type: 'postgres' as const,
    name,
    url,
    format: 'plain' as const,
    include: NO_PATTERNS,
    exclude: NO_PATTERNS,
    lockWaitTimeout_ms: 1_000,
    exclusive: false,
  });
  const [job] = whole.jobs;
  if (job === undefined) throw new Error('no job');
  const faulty: Config = {
    ...whole,
    jobs: [
      { ...job, sources: [postgres('a', 'postgresql://u:%ZZ@h/d'), ...job.sources] },
      { ...job, name: 'other', sources: [postgres('b', 'postgresql://h:99999/d')] },
    ],
  };
  await expect(composeApp(faulty, SILENT, { create: true })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: [
      'the configuration has 2 faults:',
      'source a: the connection URI is malformed: the password holds a % that is not followed by two hexadecimal digits of UTF-8',
      'source b: the connection URI is malformed: a port is no number from 1 to 65535',
    ].join('\n'),
  });
  expect(existsSync(whole.location)).toBe(false);
});

test('an override takes the place of the real sources', async () => {
  const { name, type } = composeJobs(await config(), ({ name }) => new FakeSource({ name }))[0]?.job
    .sources[0] ?? {
    name: '',
    type: '',
  };
  expect({ name, type }).toEqual({ name: 'tree', type: 'database' });
});

test('retention goes by the job of a source, and by the top level for one that no job has any more', async () => {
  const whole = await config();
  const policyOf = policiesOf(whole);
  expect(policyOf('tree')).toEqual({ policy: whole.jobs[0]?.retention, timezone: 'Europe/Lisbon' });
  expect(policyOf('gone')).toEqual({ policy: whole.retention.policy, timezone: 'UTC' });
});

test('a database that wants the roles of its server has them behind it, and by the retention of its job', async () => {
  const whole = await config();
  const [job] = whole.jobs;
  if (job === undefined) throw new Error('no job');
  const database = (name: string, globals?: { passwords: boolean }) => ({
    type: 'postgres' as const,
    name,
    url: 'postgresql:///shop',
    format: 'custom' as const,
    include: NO_PATTERNS,
    exclude: NO_PATTERNS,
    lockWaitTimeout_ms: 1_000,
    exclusive: false,
    ...(globals === undefined ? {} : { globals }),
  });
  const sources = [database('app', { passwords: true }), database('other'), ...job.sources];
  const withRoles: Config = { ...whole, jobs: [{ ...job, sources }] };
  const opened = composeJobs(withRoles)[0]?.job.sources.map(({ name, type, format }) => [name, type, format]);
  expect(opened).toEqual([
    ['app', 'database', 'custom'],
    ['app_globals', 'database', 'plain'],
    ['other', 'database', 'custom'],
    ['tree', 'files', 'tar'],
  ]);
  // Also for the roles of a source that no longer wants them.
  for (const series of ['app_globals', 'other_globals']) {
    expect(policiesOf(withRoles)(series)).toEqual({ policy: job.retention, timezone: 'Europe/Lisbon' });
  }
});

test('a schedule that validation let through by mistake is told as a fault of the configuration', () => {
  expect(() => cronOf('0 0 31 2 *', 'UTC')).toThrow(/never/);
  expect(cronOf('@daily', 'UTC').expression).toBe('@daily');
});
