import { BackupError } from '../domain/errors.ts';
import type { JournalEntry } from '../domain/journal-entry.ts';
import type { Outcome } from '../domain/manifest.ts';
import { endedView, type RunView, startedView } from '../domain/run-view.ts';
import type { EngineContext } from './context.ts';
import type { RunBoard } from './run-board.ts';

export interface RunFilter {
  job?: string | undefined;
  outcome?: Outcome | undefined;
}

export interface RunPage {
  /** The latest first. */
  runs: RunView[];
  /** Where the next page begins; absent when there is none. */
  next?: number;
}

/**
 * The runs of all processes, those that ended last first, with what waits or is under way. The journal only grows,
 * so that a place in it stays what it is.
 * @param before the place where an earlier page ended.
 */
export async function listRuns(
  { journal }: EngineContext,
  board: RunBoard,
  filter: RunFilter,
  limit: number,
  before?: number,
): Promise<RunPage> {
  await journal.refresh();
  const open = journal.openRuns();
  const waiting = before === undefined ? board.live().filter(({ state }) => state === 'queued') : [];
  const runs = waiting.filter((view) => fits(view, filter)).slice(0, limit);
  let next = before;
  for await (const { entry, place } of journal.backwards(before)) {
    const view = viewOf(entry, open, board);
    if (view === undefined || !fits(view, filter)) continue;
    // One more than wanted, so that there is a next page; one that waiting runs filled is followed by all of the journal.
    if (runs.length === limit) return { runs, next: next ?? Number.MAX_SAFE_INTEGER };
    runs.push(view);
    next = place;
  }
  return { runs };
}

/** Throws RUN_UNKNOWN. */
export async function findRun({ journal }: EngineContext, board: RunBoard, run: string): Promise<RunView> {
  await journal.refresh();
  const known = board.find(run);
  if (known !== undefined) return known;
  const open = journal.openRuns();
  for await (const { entry } of journal.backwards()) {
    if (entry.event === 'scheduled' || entry.run !== run) continue;
    const view = viewOf(entry, open, board);
    if (view !== undefined) return view;
  }
  throw new BackupError('RUN_UNKNOWN', `there is no run ${JSON.stringify(run)}`, {
    path: run,
    hint: '`GET /api/v1/runs` lists those there are.',
  });
}

/** A start is a run only while it has no end; the end says all of it. */
function viewOf(entry: JournalEntry, open: ReadonlySet<string>, board: RunBoard): RunView | undefined {
  if (entry.event === 'scheduled') return undefined;
  if (entry.event === 'ended') return endedView(entry);
  return open.has(entry.run) ? (board.find(entry.run) ?? startedView(entry)) : undefined;
}

function fits(view: RunView, { job, outcome }: RunFilter): boolean {
  return (job === undefined || view.job === job) && (outcome === undefined || view.outcome === outcome);
}
