import { prune as pruneAll, type PruneResult } from '../../engine/prune.ts';
import type { Answer } from '../answer.ts';
import { publishIndex } from '../publish-index.ts';
import type { Session } from '../session.ts';
import { telling } from '../telling.ts';

export interface PruneFlags {
  dryRun?: boolean;
  force?: boolean;
}

/** `cofre prune`: applies retention now, or with --dry-run says what it would do and why. */
export async function prune(
  session: Session,
  { dryRun = false, force = false }: PruneFlags,
): Promise<Answer> {
  const app = await session.open({ write: !dryRun });
  const { actor, signal } = session;
  const { policyOf } = app;
  const work = async () =>
    await pruneAll(app.context, { policyOf, dryRun, force, trigger: 'cli', actor }, signal);
  const result = dryRun ? await work() : await telling(session, app, work);
  if (!dryRun) await publishIndex(app);
  return {
    status: result.errors.length === 0 ? 0 : 1,
    json: { removed_count: result.removed.length, decisions: result.decisions },
    text: describe(result, dryRun),
  };
}

function describe({ removed, decisions, heldBack, errors }: PruneResult, dryRun: boolean): string {
  const lines = decisions.map(
    ({ filename, action, reasons }) =>
      `${action === 'keep' ? 'keep  ' : 'remove'}  ${filename}  ${reasons.join('; ')}`,
  );
  const planned = decisions.filter(({ action }) => action === 'remove').length;
  const notices = dryRun
    ? heldBack
    : errors.flatMap(({ message, hint = '' }) => [
        `error: ${message}`,
        ...(hint === '' ? [] : [`  ${hint}`]),
      ]);
  const summary = dryRun
    ? `${planned} of ${decisions.length} would be removed`
    : `${removed.length} of ${decisions.length} removed`;
  return [...lines, ...notices, summary].join('\n');
}
