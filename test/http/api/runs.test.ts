import { appendFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { RunEnded, RunStarted } from '../../../src/domain/journal-entry.ts';
import type { RunView } from '../../../src/domain/run-view.ts';
import { type ApiBed, openApiBed } from '../../support/api-bed.ts';

const AT = '/api/v1/runs';

function idOf(at: number): string {
  return `20260101_00${String(at).padStart(2, '0')}00-aaaaaa`;
}

function started(at: number, job = 'app'): RunStarted {
  const time = `2026-01-01T00:${String(at).padStart(2, '0')}:00.000Z`;
  return {
    event: 'started',
    at: time,
    run: idOf(at),
    job,
    trigger: 'cli',
    actor: 'cli:somebody',
    sources: ['tree'],
  };
}

function ended(at: number, outcome: RunEnded['outcome'] = 'succeeded', job = 'app'): RunEnded {
  const { sources: _, ...rest } = started(at, job);
  return {
    ...rest,
    event: 'ended',
    at: rest.at.replace(':00.000Z', ':30.000Z'),
    outcome,
    duration_ms: 30_000,
    archives: [],
    errors: [],
  };
}

/** Lines that another process wrote. */
function write({ app }: ApiBed, ...entries: object[]): void {
  appendFileSync(app.context.location.journal, entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
}

async function page(bed: ApiBed, query = '') {
  const { body } = await bed.call('GET', `${AT}?${query}`);
  const runs = body['runs'] as RunView[];
  return { ids: runs.map(({ run }) => run), runs, next: body['next_cursor'] as string | null };
}

describe('the list of runs', () => {
  test('has those of every process once, the latest end first, and the one that goes on', async () => {
    const bed = await openApiBed();
    write(bed, started(1), ended(1, 'failed'), started(2), started(3), ended(3), 'torn' as never);
    const { ids, runs } = await page(bed);
    expect(ids).toEqual([idOf(3), idOf(2), idOf(1)]);
    expect(runs.map(({ state, outcome }) => [state, outcome])).toEqual([
      ['ended', 'succeeded'],
      ['running', null],
      ['ended', 'failed'],
    ]);
    expect(runs[2]).toMatchObject({
      started_at: '2026-01-01T00:01:00.000Z',
      ended_at: '2026-01-01T00:01:30.000Z',
      actor: 'cli:somebody',
    });
  });

  test('by pages has each once, though runs end meanwhile', async () => {
    const bed = await openApiBed();
    for (let at = 0; at < 7; at += 1) write(bed, started(at), ended(at));
    const first = await page(bed, 'limit=3');
    expect(first.ids).toEqual([6, 5, 4].map(idOf));
    write(bed, started(7), ended(7));
    const second = await page(bed, `limit=3&cursor=${first.next}`);
    expect(second.ids).toEqual([3, 2, 1].map(idOf));
    const third = await page(bed, `limit=3&cursor=${second.next}`);
    expect(third).toMatchObject({ ids: [idOf(0)], next: null });
  });

  test('by job, task and outcome', async () => {
    const bed = await openApiBed();
    write(bed, ended(1), ended(2, 'failed'), ended(3, 'succeeded', '@prune'), ended(4, 'skipped', 'other'));
    expect((await page(bed, 'job=app')).ids).toEqual([2, 1].map(idOf));
    expect((await page(bed, 'job=@prune')).ids).toEqual([idOf(3)]);
    expect((await page(bed, 'outcome=skipped')).ids).toEqual([idOf(4)]);
    expect((await page(bed, 'job=app&outcome=skipped')).ids).toEqual([]);
  });

  test('a page that waiting runs fill is followed by all of the journal', async () => {
    const bed = await openApiBed();
    write(bed, ended(1), ended(2));
    bed.board.queued('app', { run: idOf(9), trigger: 'api', actor: 'admin' });
    const first = await page(bed, 'limit=1');
    expect(first.ids).toEqual([idOf(9)]);
    const second = await page(bed, `limit=5&cursor=${first.next}`);
    expect(second).toMatchObject({ ids: [idOf(2), idOf(1)], next: null });
  });

  test.each(['limit=501', 'job=..', 'outcome=good', 'cursor=LTE', 'cursor=bm9uZQ', 'since=1'])(
    'with %s is refused with 400',
    async (query) => {
      const bed = await openApiBed();
      expect((await bed.call('GET', `${AT}?${query}`)).status).toBe(400);
    },
  );
});

describe('one run', () => {
  test('is found in the journal, wherever it stands', async () => {
    const bed = await openApiBed();
    for (let at = 0; at < 20; at += 1) write(bed, started(at), ended(at));
    write(bed, started(30));
    for (const [at, state] of [
      [0, 'ended'],
      [19, 'ended'],
      [30, 'running'],
    ] as const) {
      const { body } = await bed.call('GET', `${AT}/${idOf(at)}`);
      expect(body['run']).toMatchObject({ run: idOf(at), state });
    }
  });

  test.each([idOf(1), 'x', '..%2f..%2fetc', '@prune'])('that nobody knows (%s) is 404', async (id) => {
    const bed = await openApiBed();
    write(bed, ended(2));
    const { status, problem } = await bed.call('GET', `${AT}/${id}`);
    expect({ status, code: problem.code }).toEqual({ status: 404, code: 'RUN_UNKNOWN' });
  });
});

test('jobs are told with what comes and what was', async () => {
  const bed = await openApiBed();
  await bed.backup();
  const { body } = await bed.call('GET', '/api/v1/jobs');
  expect(body).toMatchObject({
    success: true,
    count: 1,
    jobs: [
      {
        job: 'app',
        enabled: true,
        schedule: '0 0 29 2 *',
        timezone: 'UTC',
        sources: [{ name: 'tree', type: 'files' }],
        last_outcome: 'succeeded',
        overdue: false,
        running: false,
      },
    ],
  });
  const [job] = body['jobs'] as { next: string[] }[];
  expect(job?.next).toHaveLength(5);
  expect(job?.next.every((at) => at.includes('-02-29T00:00:00'))).toBe(true);
});
