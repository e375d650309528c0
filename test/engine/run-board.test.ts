import { describe, expect, test } from 'vitest';
import { type BoardEvent, RunBoard } from '../../src/engine/run-board.ts';
import { endedEntry, identityOf, startedEntry } from '../../src/domain/run-entries.ts';
import { openTestLocation, type TestLocation } from '../support/test-location.ts';

const OCCASION = { run: '20261120_120015-abcdef', trigger: 'api', actor: 'admin' } as const;
const AT = new Date('2026-11-20T12:00:15.000Z');

interface Bed extends TestLocation {
  board: RunBoard;
  events: BoardEvent[];
  ticks: { now_ms: number };
}

async function openBed(): Promise<Bed> {
  const bed = await openTestLocation();
  const ticks = { now_ms: 0 };
  const board = new RunBoard(bed.context.journal, () => ticks.now_ms);
  const events: BoardEvent[] = [];
  board.subscribe((event) => events.push(event));
  return { ...bed, board, events, ticks };
}

function start({ context }: Bed) {
  return context.journal.append(startedEntry(identityOf('app', OCCASION), AT, ['tree']));
}

function end({ context }: Bed) {
  return context.journal.append(endedEntry(identityOf('app', OCCASION), AT, AT, { outcome: 'succeeded' }));
}

function kinds({ events }: Bed): string[] {
  return events.map(({ event }) => event);
}

describe('the board', () => {
  test('follows a run from the queue through the journal to its end', async () => {
    const bed = await openBed();
    bed.board.queued('app', OCCASION);
    expect(bed.board.live()).toMatchObject([{ state: 'queued' }]);
    await start(bed);
    expect(bed.board.live()).toMatchObject([{ state: 'running', started_at: AT.toISOString() }]);
    await end(bed);
    expect(bed.board.live()).toEqual([]);
    bed.board.ended(OCCASION.run, AT, AT, { outcome: 'succeeded' });
    expect(kinds(bed)).toEqual(['run-queued', 'run-started', 'run-ended']);
  });

  test('hears of the runs of other processes as the journal is looked at', async () => {
    const bed = await openBed();
    const other = await openTestLocation({ root: bed.root });
    await other.context.journal.append(startedEntry(identityOf('app', OCCASION), AT));
    expect(kinds(bed)).toEqual([]);
    await bed.context.journal.refresh();
    expect(kinds(bed)).toEqual(['run-started']);
  });

  test('remembers a run that ended before the journal knew it, and not too many of them', async () => {
    const bed = await openBed();
    const errors = [{ code: 'CANCELLED' as const, message: 'cofre is stopping' }];
    for (let at = 0; at < 300; at += 1) {
      const run = `20261120_120015-${String(at).padStart(6, '0')}`;
      bed.board.queued('app', { ...OCCASION, run });
      bed.board.ended(run, AT, AT, { outcome: 'cancelled', errors });
    }
    expect(bed.board.find('20261120_120015-000299')).toMatchObject({ outcome: 'cancelled', errors });
    expect(bed.board.find('20261120_120015-000100')).toBeDefined();
    expect(bed.board.find('20261120_120015-000099')).toBeUndefined();
    expect(bed.board.live()).toEqual([]);
  });

  test('tells progress with its rate, at most twice a second but each step at once', async () => {
    const bed = await openBed();
    const { board, ticks } = bed;
    await start(bed);
    const tell = (now_ms: number, step: string, bytes: number) => {
      ticks.now_ms = now_ms;
      board.progress(OCCASION.run, { source: 'tree', step, bytes });
    };
    tell(1_000, 'capture', 0);
    tell(1_200, 'capture', 100);
    tell(1_400, 'capture', 200);
    tell(1_500, 'capture', 1_000);
    tell(1_600, 'verify', 10);
    tell(2_600, 'verify', 510);
    const told = bed.events.flatMap((event) => (event.event === 'progress' ? event.progress : []));
    expect(told.map(({ step, bytes, bytes_per_second }) => [step, bytes, bytes_per_second])).toEqual([
      ['capture', 0, 0],
      ['capture', 1_000, 2_000],
      ['verify', 10, 0],
      ['verify', 510, 510],
    ]);
    // Whoever asks is told what is known, whether it was news or not.
    tell(2_700, 'verify', 600);
    expect(board.live()[0]?.progress).toMatchObject({ bytes: 600, source: 'tree', total_bytes: null });
  });

  test('says nothing of the progress of what it does not know, nor to whoever has left', async () => {
    const bed = await openBed();
    bed.board.progress('20200101_000000-000000', { step: 'capture', bytes: 1 });
    const heard: BoardEvent[] = [];
    const leave = bed.board.subscribe((event) => heard.push(event));
    leave();
    await start(bed);
    expect(heard).toEqual([]);
    expect(kinds(bed)).toEqual(['run-started']);
  });
});
