import { describe, expect, test } from 'vitest';
import type { Notice } from '../../src/domain/notice.ts';
import { jobLabel, subjectOf, textOf } from '../../src/domain/notice-text.ts';
import { codeBlocks, readPage } from '../support/markdown.ts';
import { testNotice as notice } from '../support/notices.ts';

const archive = { filename: 'db_backup_app_20261124_020000.sql.gz', size: 1_048_576, raw_size: 4_194_304 };

test('a failure says on one screen what, where, when, why and what to do', () => {
  const full = notice({
    due: '2026-11-24T02:00:00.000Z',
    archives: [archive],
    failing_since: '2026-11-22T02:00:10.000Z',
  });
  expect(subjectOf(full)).toBe('[cofre db1] FAILED app: SERVER_UNREACHABLE');
  expect(textOf(full)).toBe(`The backup app on db1 FAILED.

when          2026-11-24T02:00:14.221Z after 14.2 s
due           2026-11-24T02:00:00.000Z
failing since 2026-11-22T02:00:10.000Z
run           20261124_020000-3f9a1c (schedule, by daemon)
location      /srv/backups

error SERVER_UNREACHABLE in app
  cannot connect
  Is it running?

archives
  db_backup_app_20261124_020000.sql.gz  1.00 MB (4.00 MB before compression)

what to do, on db1
  cofre check
  cofre backup app
`);
});

const anomalous = {
  ...archive,
  anomaly: { kinds: ['table_gone' as const], detail: 'public.orders is gone' },
};
const drills = [{ filename: archive.filename, verdict: 'failed' as const, duration_ms: 1 }];

describe('subjects', () => {
  test.each<[string, Partial<Notice>]>([
    [
      '[cofre db1] FAILED app: TIMEOUT, UNREADABLE',
      { errors: (['TIMEOUT', 'UNREADABLE', 'TIMEOUT'] as const).map((code) => ({ code, message: '' })) },
    ],
    ['[cofre db1] INCOMPLETE app', { kind: 'incomplete', outcome: 'incomplete' }],
    ['[cofre db1] ANOMALY app: table_gone', { kind: 'anomaly', archives: [anomalous] }],
    ['[cofre db1] recovered app', { kind: 'recovered', outcome: 'succeeded' }],
    ['[cofre db1] succeeded app', { kind: 'success', outcome: 'succeeded' }],
    ['[cofre db1] done drill of app: failed', { kind: 'drill', job: '@drill.app', drills }],
    ['[cofre db1] drilled app: failed', { kind: 'drill', drills }],
    ['[cofre db1] done retention (prune): 2 removed', { kind: 'prune', job: '@prune', removed: ['a', 'b'] }],
    ['[cofre db1] FAILED scrub: SERVER_UNREACHABLE', { job: '@scrub' }],
    ['[cofre db1] started app', { kind: 'start' }],
  ])('%s', (subject, facts) => {
    expect(subjectOf(notice(facts))).toBe(subject);
  });

  test('an overdue job has no outcome', () => {
    const { outcome: _, ...overdue } = notice();
    expect(subjectOf(overdue)).toBe('[cofre db1] OVERDUE app');
    expect(textOf(overdue)).toContain('is OVERDUE: no run has succeeded since it was due');
  });

  test('a test is of no job', () => {
    const { job: _, ...nothing } = notice({ kind: 'test', errors: [] });
    expect(subjectOf(nothing)).toBe('[cofre db1] TEST');
    expect(textOf(nothing)).toContain('Nothing is wrong');
  });
});

describe('what to do', () => {
  test.each<[Partial<Notice>, string]>([
    [{ job: '@prune' }, 'cofre prune --dry-run'],
    [{ job: '@scrub' }, 'cofre verify --all'],
    [{ job: '@drill', drills }, `cofre show ${archive.filename}`],
    [{ kind: 'incomplete', archives: [archive] }, `cofre show ${archive.filename}`],
    [{ kind: 'anomaly', archives: [archive, anomalous] }, `cofre acknowledge ${archive.filename}`],
  ])('%j: %s', (facts, command) => {
    expect(textOf(notice(facts))).toContain(command);
  });

  test('is nothing where all is well', () => {
    expect(textOf(notice({ kind: 'success', outcome: 'succeeded', errors: [] }))).not.toContain('what to do');
  });
});

describe('names and messages from elsewhere', () => {
  const HOSTILE = 'x\r\nBcc: evil@example.org\n\u001b[31mred\u202e';

  test('are on one line of a subject', () => {
    const subject = subjectOf(notice({ host: HOSTILE, job: HOSTILE }));
    expect(subject).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  test('cannot begin a line of the text by themselves, nor steer a terminal', () => {
    const text = textOf(
      notice({
        host: HOSTILE,
        errors: [{ code: 'TOOL_FAILED', message: HOSTILE, hint: HOSTILE, source: HOSTILE }],
        archives: [{ ...archive, filename: HOSTILE }],
        removed: [HOSTILE],
      }),
    );
    expect(text.split('\n').filter((line) => line.startsWith('Bcc'))).toEqual([]);
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });

  test('of any number and length fit on a screen or two', () => {
    const many = <T>(one: T): T[] => Array.from({ length: 500 }, () => one);
    const text = textOf(
      notice({
        errors: many({ code: 'UNREADABLE', message: 'y'.repeat(100_000) }),
        archives: many(archive),
        removed: many('z'),
      }),
    );
    expect(text).toContain('and 495 more');
    expect(text).toContain('and 485 more');
    expect(text.split('\n').length).toBeLessThan(70);
    expect(text.length).toBeLessThan(10_000);
  });
});

test('tasks have words for people', () => {
  expect(['app', '@prune', '@scrub', '@drill', '@drill.app', '@restore'].map(jobLabel)).toEqual([
    'app',
    'retention (prune)',
    'scrub',
    'drill',
    'drill of app',
    'restore',
  ]);
});

test('docs/notifications.md shows a mail as it is', () => {
  const [shown] = codeBlocks(readPage('docs/notifications.md'), 'text');
  const mail = notice({
    location: '/var/lib/cofre/backups',
    due: '2026-11-24T02:00:00.000Z',
    archives: [{ filename: 'files_backup_uploads_20261124_020000.tar.gz', size: 303_688, raw_size: 327_680 }],
    errors: [
      {
        code: 'SERVER_UNREACHABLE',
        message: 'app: the server db.example.org:5432 cannot be reached: connect ECONNREFUSED',
        hint: 'Is the server running, and does a firewall stand between?',
        source: 'app',
      },
    ],
  });
  expect(`Subject: ${subjectOf(mail)}\n\n${textOf(mail)}`.trim()).toBe(shown?.trim());
});
