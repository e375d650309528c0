import { describeAnomaly } from '../../domain/anomaly.ts';
import { formatDuration } from '../../domain/duration.ts';
import { isFilesContents, type Manifest, type Outcome } from '../../domain/manifest.ts';
import { printable } from '../../domain/printable.ts';
import { formatSize } from '../../domain/size.ts';
import { chooseJobs } from '../../engine/choose-jobs.ts';
import { newRunId } from '../../engine/journaling.ts';
import { runJob } from '../../engine/run.ts';
import type { RunProgress, RunResult } from '../../engine/run-request.ts';
import type { Answer, ExitStatus } from '../answer.ts';
import { openProgress, stepProgress } from '../progress.ts';
import { publishIndex } from '../publish-index.ts';
import type { Session } from '../session.ts';
import { telling } from '../telling.ts';

/** `cofre backup [JOB…]`: runs the named jobs now, or every enabled one. */
export async function backup(session: Session, names: readonly string[]): Promise<Answer> {
  const loaded = await session.load();
  for (const warning of loaded.warnings) process.stderr.write(`warning: ${warning}\n`);
  const app = await session.openLoaded(loaded, { create: true });
  const { context } = app;
  const jobs = chooseJobs(app.jobs, names);
  const runs: RunResult[] = [];
  await telling(session, app, async () => {
    using progress = openProgress(!session.json);
    const tell = stepProgress(progress);
    const sizes = new Map<string, number | undefined>();
    const onProgress = ({ source, step, bytes, total_bytes }: RunProgress) => {
      // How much a source will yield this time is told by the last time.
      if (progress.isShown && !sizes.has(source)) {
        sizes.set(source, context.catalogue.latest(source)?.raw_size);
      }
      const total = total_bytes ?? sizes.get(source);
      tell(`${source}${STEP_LABEL[step]}`, { bytes, ...(total === undefined ? {} : { total_bytes: total }) });
    };
    for (const job of jobs) {
      const startedAt = context.clock.now();
      const run = newRunId(startedAt);
      const { actor, signal } = session;
      runs.push(await runJob(context, job, { run, startedAt, trigger: 'cli', actor, onProgress }, signal));
    }
    await publishIndex(app);
  });
  const status = worst(runs.map(({ outcome }) => STATUS_OF[outcome]));
  return { status, json: { success: status === 0, runs }, text: runs.map(describeRun).join('\n') };
}

const STEP_LABEL = {
  capture: '',
  verify: ': verifying',
  drill: ': drilling',
} as const satisfies Record<RunProgress['step'], string>;

const STATUS_OF = {
  succeeded: 0,
  incomplete: 3,
  failed: 1,
  skipped: 1,
  cancelled: 1,
} as const satisfies Record<Outcome, ExitStatus>;

/** A failure outweighs an incomplete archive. */
function worst(statuses: readonly ExitStatus[]): ExitStatus {
  if (statuses.includes(1)) return 1;
  return statuses.includes(3) ? 3 : 0;
}

function describeRun({ job, outcome, archives, errors }: RunResult): string {
  const lines = [`${job}: ${outcome}`, ...archives.flatMap(describeArchive)];
  for (const { source, message, hint } of errors) {
    lines.push(`  error: ${source === undefined ? '' : `${source}: `}${message}`);
    if (hint !== undefined && hint !== '') lines.push(`         ${hint}`);
  }
  return lines.join('\n');
}

function describeArchive(manifest: Manifest): string[] {
  const { filename, size_human, raw_size, duration_ms, verification, contents, anomaly } = manifest;
  const lines = [
    `  ${filename}  ${size_human} (${formatSize(raw_size)} before compression) in ${formatDuration(duration_ms)}`,
    `    verified: ${verification.detail}`,
  ];
  if (anomaly !== undefined) {
    lines.push(`    ANOMALY: it holds less than ${anomaly.baseline}: ${describeAnomaly(anomaly)}`);
  }
  if (!isFilesContents(contents)) return lines;
  for (const { path, reason } of contents.changed) lines.push(`    changed: ${printable(path)}: ${reason}`);
  for (const { path, reason } of contents.incomplete)
    lines.push(`    INCOMPLETE: ${printable(path)}: ${reason}`);
  return lines;
}
