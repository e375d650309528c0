import type { Notice } from '../../src/domain/notice.ts';

/** A failure, but for what is given. */
export function testNotice(facts: Partial<Notice> = {}): Notice {
  return {
    kind: 'failure',
    topics: ['failure'],
    host: 'db1',
    location: '/srv/backups',
    at: '2026-11-24T02:00:14.221Z',
    job: 'app',
    run: '20261124_020000-3f9a1c',
    trigger: 'schedule',
    actor: 'daemon',
    outcome: 'failed',
    duration_ms: 14_200,
    archives: [],
    errors: [
      { code: 'SERVER_UNREACHABLE', message: 'cannot connect', hint: 'Is it running?', source: 'app' },
    ],
    removed: [],
    drills: [],
    ...facts,
  };
}
