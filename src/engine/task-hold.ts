import { LOCK_SETTLE_MS } from '../catalogue/location.ts';
import type { EngineContext } from './context.ts';
import { closeDeadRuns } from './recover.ts';
import { unlessBusy } from './sweep.ts';

/**
 * Says for as long as it is held that this process is at a task which several may be at, so that nobody takes
 * its run, which has no end in the journal yet, for dead. Gives those of processes that died their end first.
 * Where nothing can be locked, on a medium that is read-only, there is no journal to be kept either, and the
 * work goes on without. Throws the reason of the abort.
 */
export async function holdTask(
  context: EngineContext,
  task: string,
  signal: AbortSignal,
): Promise<AsyncDisposable> {
  const held = new AsyncDisposableStack();
  try {
    await closeDead(context, task, signal);
    held.use(await context.location.lockShared(`job.${task}`, signal));
  } catch {
    signal.throwIfAborted();
  }
  return held;
}

/** Only where there are any: somebody else may be at the task for hours. */
async function closeDead(context: EngineContext, task: string, signal: AbortSignal): Promise<void> {
  await context.journal.refresh();
  if (context.journal.histories.of(task).open.length === 0) return;
  await unlessBusy(async () => {
    await using _lock = await context.location.lock(`job.${task}`, signal, LOCK_SETTLE_MS);
    await context.journal.refresh();
    await closeDeadRuns(context, task);
  });
}
