import { expect, test } from 'vitest';
import { type JobHealth, problemsOf, type SeriesHealth } from '../../src/domain/health.ts';

const JOB: JobHealth = {
  job: 'app',
  enabled: true,
  last_success: null,
  last_outcome: null,
  last_run_at: null,
  next_run: null,
  overdue: false,
  overdue_since: null,
  running: false,
};
const SERIES: SeriesHealth = {
  source: 'app',
  archives: 1,
  newest: 'db_backup_app_20261120_020000.sql.gz',
  newest_at: '2026-11-20T02:00:00.000Z',
  verified: true,
  verified_at: '2026-11-20T02:00:00.000Z',
  missing: false,
};

test('a job that never ran and a verified archive are no problem', () => {
  expect(problemsOf([JOB], [SERIES])).toEqual([]);
});

test('an overdue job, a failed last run and an archive that does not verify are one each', () => {
  const late = { ...JOB, job: 'late', overdue: true, overdue_since: '2026-11-19T02:00:00.000Z' };
  const failed = { ...JOB, job: 'failed', last_outcome: 'failed' as const };
  expect(problemsOf([late, failed], [{ ...SERIES, verified: false }])).toEqual([
    'job late is overdue: no success since it was due at 2026-11-19T02:00:00.000Z',
    'the last run of job failed failed',
    'the newest archive db_backup_app_20261120_020000.sql.gz does not verify',
  ]);
});

test.each(['succeeded', 'incomplete', 'skipped', 'cancelled'] as const)(
  'a last run %s is none',
  (outcome) => {
    expect(problemsOf([{ ...JOB, last_outcome: outcome }], [])).toEqual([]);
  },
);

test('a disabled job is none, whatever its last run did', () => {
  expect(problemsOf([{ ...JOB, enabled: false, overdue: true, last_outcome: 'failed' }], [])).toEqual([]);
});
