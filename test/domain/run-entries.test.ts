import { describe, expect, test } from 'vitest';
import { endedEntry, identityOf, startedEntry } from '../../src/domain/run-entries.ts';

const STARTED_AT = new Date('2026-11-20T02:00:00.000Z');
const ENDED_AT = new Date('2026-11-20T02:00:07.500Z');
const OCCASION = { run: '20261120_020000-3f9a1c', trigger: 'schedule', actor: 'daemon' } as const;

describe('the lines of a run', () => {
  test('name the run alike, with the due time it answers', () => {
    const identity = identityOf('app', { ...OCCASION, due: STARTED_AT });
    expect(startedEntry(identity, STARTED_AT, ['shop'])).toEqual({
      event: 'started',
      at: '2026-11-20T02:00:00.000Z',
      run: '20261120_020000-3f9a1c',
      job: 'app',
      trigger: 'schedule',
      actor: 'daemon',
      due: '2026-11-20T02:00:00.000Z',
      sources: ['shop'],
    });
    expect(endedEntry(identity, STARTED_AT, ENDED_AT, { outcome: 'succeeded', archives: ['a'] })).toEqual({
      event: 'ended',
      at: '2026-11-20T02:00:07.500Z',
      run: '20261120_020000-3f9a1c',
      job: 'app',
      trigger: 'schedule',
      actor: 'daemon',
      due: '2026-11-20T02:00:00.000Z',
      outcome: 'succeeded',
      duration_ms: 7_500,
      archives: ['a'],
      errors: [],
    });
  });

  test('have no due time where there was none, and tell what was missed and removed where it was', () => {
    const entry = endedEntry(identityOf('@prune', OCCASION), STARTED_AT, ENDED_AT, {
      outcome: 'failed',
      missed: 2,
      removed: ['b'],
    });
    expect(entry).not.toHaveProperty('due');
    expect(entry).toMatchObject({ job: '@prune', missed: 2, removed: ['b'] });
    expect(startedEntry(identityOf('@prune', OCCASION), STARTED_AT)).toMatchObject({ sources: [] });
  });

  test('a started line stands for the identity of its end, and leaves nothing else in it', () => {
    const started = startedEntry(identityOf('app', OCCASION), STARTED_AT, ['shop']);
    const ended = endedEntry(started, STARTED_AT, ENDED_AT, { outcome: 'failed' });
    expect(ended).toMatchObject({ event: 'ended', run: started.run, at: '2026-11-20T02:00:07.500Z' });
    expect(ended).not.toHaveProperty('sources');
  });

  test('of a restore say what went where, also when someone else writes the end', () => {
    const about = { filename: 'db_backup_app_20261118_020000.sql.gz', target: 'shop at db:5432' };
    const started = startedEntry({ ...identityOf('@restore', OCCASION), ...about }, STARTED_AT, ['app']);
    expect(started).toMatchObject(about);
    expect(endedEntry(started, STARTED_AT, ENDED_AT, { outcome: 'failed' })).toMatchObject(about);
  });

  test('a clock that was set back makes no negative duration', () => {
    const ended = endedEntry(identityOf('app', OCCASION), ENDED_AT, STARTED_AT, { outcome: 'succeeded' });
    expect(ended.duration_ms).toBe(0);
  });
});
