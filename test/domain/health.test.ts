import { expect, test } from 'vitest';
import { type JobHealth, problemsOf, type SeriesHealth, warningsOf } from '../../src/domain/health.ts';

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
  anomaly: null,
  faulty: [],
  proof: null,
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

test('each archive that does not verify and an anomaly of a newest one is a warning, and nothing else', () => {
  expect(warningsOf([SERIES])).toEqual([]);
  const findings = [
    { kind: 'rows_down' as const, detail: 'all tables: 9 rows before, 1 now' },
    { kind: 'size_down' as const, detail: '2 B of data before, 1 B now' },
  ];
  const shrunk = { ...SERIES, anomaly: { baseline: 'before.sql.gz', findings }, faulty: ['a', 'b'] };
  expect(warningsOf([shrunk, { ...SERIES, faulty: ['c'] }])).toEqual([
    'a does not verify',
    'b does not verify',
    'db_backup_app_20261120_020000.sql.gz holds less than before.sql.gz: all tables: 9 rows before, 1 now; 2 B of data before, 1 B now; `cofre acknowledge db_backup_app_20261120_020000.sql.gz` if this is meant',
    'c does not verify',
  ]);
  expect(problemsOf([], [shrunk])).toEqual([]);
});

test('a latest drill that this machine could not do is a warning, and no problem', () => {
  const proof = {
    filename: 'a.sql.gz',
    verdict: 'not provable here' as const,
    at: '2026-11-20T03:00:00.000Z',
    proven_at: null,
    proven_age: null,
    recovery_ms: null,
    failing: false,
    failed: [],
  };
  expect(warningsOf([{ ...SERIES, proof }])).toEqual([
    'a.sql.gz was not provable here; `cofre show a.sql.gz` says what this machine lacks',
  ]);
  expect(problemsOf([], [{ ...SERIES, proof }])).toEqual([]);
  expect(warningsOf([{ ...SERIES, proof: { ...proof, verdict: 'proven' } }])).toEqual([]);
});
