import { formatDuration } from '../../domain/duration.ts';
import { BackupError } from '../../domain/errors.ts';
import { DRILL_TASK } from '../../domain/journal-entry.ts';
import type { Verdict } from '../../domain/manifest.ts';
import { drill as drillAll, type DrillResult } from '../../engine/drill.ts';
import type { DrillProgress } from '../../engine/drill-finding.ts';
import { nameNewestVerified } from '../../engine/newest.ts';
import type { Answer, ExitStatus } from '../answer.ts';
import { openProgress, stepProgress } from '../progress.ts';
import { publishIndex } from '../publish-index.ts';
import type { Session } from '../session.ts';
import { telling } from '../telling.ts';

export interface DrillFlags {
  all?: boolean;
  latest?: string[];
}

/** `cofre drill`: proves that archives restore, by restoring them into something thrown away. */
export async function drill(
  session: Session,
  filenames: readonly string[],
  { all = false, latest = [] }: DrillFlags,
): Promise<Answer> {
  if (Number(all) + Number(latest.length > 0) + Number(filenames.length > 0) !== 1) {
    throw new BackupError('USAGE', 'drill takes either filenames, --latest SOURCE or --all', {
      hint: '`cofre list` shows the filenames of all backups.',
    });
  }
  // What is found is recorded where it can be; where it cannot, the verdict counts all the same.
  const app = await session.open({ write: false });
  const { context } = app;
  const chosen = all
    ? context.catalogue.list().map(({ filename }) => filename)
    : [...filenames, ...latest.map((source) => nameNewestVerified(context, source))];
  // A name mistyped is told before hours are spent on the others.
  for (const filename of chosen) await context.catalogue.read(filename);
  const results = await telling(session, app, () =>
    withProgress(session, async (onProgress) => {
      const { actor, signal } = session;
      const request = { task: DRILL_TASK, filenames: chosen, trigger: 'cli' as const, actor, onProgress };
      return await drillAll(context, request, signal);
    }),
  );
  await publishIndex(app);
  return { status: worst(results), json: { results }, text: describe(results) };
}

async function withProgress(
  session: Session,
  work: (onProgress: (filename: string, now: DrillProgress) => void) => Promise<DrillResult[]>,
): Promise<DrillResult[]> {
  using progress = openProgress(!session.json);
  const tell = stepProgress(progress);
  return await work((filename, now) => tell(`${filename}: ${STEP_LABEL[now.step]}`, now));
}

const STEP_LABEL = {
  verify: 'verifying',
  prepare: 'preparing',
  restore: 'restoring',
  compare: 'comparing',
} as const satisfies Record<DrillProgress['step'], string>;

const STATUS_OF = { proven: 0, failed: 1, 'not provable here': 3 } as const satisfies Record<
  Verdict,
  ExitStatus
>;

/** A failure outweighs what could not be proven. */
function worst(results: readonly DrillResult[]): ExitStatus {
  const statuses: ExitStatus[] = results.map(({ verdict }) => STATUS_OF[verdict]);
  if (statuses.includes(1)) return 1;
  return statuses.includes(3) ? 3 : 0;
}

function describe(results: readonly DrillResult[]): string {
  if (results.length === 0) return 'there is no backup to drill';
  const lines = results.map(
    ({ filename, verdict, detail, duration_ms }) =>
      `${verdict === 'failed' ? 'FAILED' : verdict}  ${filename}  ${detail}${verdict === 'proven' ? `; recovered in ${formatDuration(duration_ms)}` : ''}`,
  );
  const proven = results.filter(({ verdict }) => verdict === 'proven').length;
  return [...lines, `${proven} of ${results.length} proven`].join('\n');
}
