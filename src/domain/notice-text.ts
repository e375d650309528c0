import { formatDuration } from './duration.ts';
import { DRILL_TASK, isTask, PRUNE_TASK, SCRUB_TASK, type RunError } from './journal-entry.ts';
import type { Notice, NoticeArchive } from './notice.ts';
import { printable } from './printable.ts';
import { formatSize } from './size.ts';

/** A message is to be read on one screen: of more than this only the number is told. */
const ERRORS_MOST = 5;
const LINES_MOST = 15;
const LINE_LENGTH_MOST = 1_000;

/** One line for an inbox: `[cofre db1] FAILED app: SERVER_UNREACHABLE`. */
export function subjectOf(notice: Notice): string {
  const { host, job } = notice;
  const what = job === undefined ? 'TEST' : `${headline(notice)} ${jobLabel(job)}`;
  return line(`[cofre ${host}] ${what}${reasonOf(notice)}`, 200);
}

/** Plain text for people: what, where, when, why and what to do. */
export function textOf(notice: Notice): string {
  if (notice.job === undefined) {
    return paragraphs([
      [`This is a test of the notifications of cofre on ${line(notice.host)}. Nothing is wrong.`],
      facts(notice),
    ]);
  }
  const { removed, drills, archives } = notice;
  return paragraphs([
    [sentence(notice, notice.job)],
    facts(notice),
    errorLines(notice.errors),
    some('archives', archives, archiveLine),
    some('removed', removed, line),
    some('drills', drills, ({ filename, verdict }) => line(`${filename}: ${verdict}`)),
    adviceFor(notice, notice.job),
  ]);
}

/** A job by its name, a task in words. */
export function jobLabel(job: string): string {
  if (!isTask(job)) return job;
  if (job === PRUNE_TASK) return 'retention (prune)';
  if (job === SCRUB_TASK) return 'scrub';
  if (job === DRILL_TASK) return 'drill';
  if (job.startsWith(`${DRILL_TASK}.`)) return `drill of ${job.slice(DRILL_TASK.length + 1)}`;
  return job.slice(1);
}

const HEADLINES = {
  failure: 'FAILED',
  incomplete: 'INCOMPLETE',
  anomaly: 'ANOMALY',
  recovered: 'recovered',
  drill: 'drilled',
  prune: 'done',
  success: 'succeeded',
  start: 'started',
  test: 'TEST',
} as const satisfies Record<Notice['kind'], string>;

function isOverdue({ kind, outcome }: Notice): boolean {
  return kind === 'failure' && outcome === undefined;
}

function isTrouble({ kind }: Notice): boolean {
  return kind === 'failure' || kind === 'incomplete';
}

function headline(notice: Notice): string {
  if (isOverdue(notice)) return 'OVERDUE';
  const isDrillTask = notice.kind === 'drill' && isTask(notice.job ?? '');
  return isDrillTask ? 'done' : HEADLINES[notice.kind];
}

/** What tells one message from the next in an inbox. */
function reasonOf(notice: Notice): string {
  const { kind, errors, archives, removed, drills } = notice;
  switch (kind) {
    case 'failure':
      return isOverdue(notice) ? '' : listed([...new Set(errors.map(({ code }) => code))]);
    case 'anomaly':
      return listed([...new Set(archives.flatMap(({ anomaly }) => anomaly?.kinds ?? []))]);
    case 'drill':
      return listed([...new Set(drills.map(({ verdict }) => verdict))]);
    case 'prune':
      return `: ${removed.length} removed`;
    case 'incomplete':
    case 'recovered':
    case 'success':
    case 'start':
    case 'test':
      return '';
    default:
      return kind satisfies never;
  }
}

function listed(words: readonly string[]): string {
  return words.length === 0 ? '' : `: ${words.join(', ')}`;
}

function sentence(notice: Notice, job: string): string {
  const { kind, host, failing_since: since } = notice;
  const where = `on ${host}`;
  const what = isTask(job) ? `The ${jobLabel(job)}` : `The backup ${job}`;
  switch (kind) {
    case 'failure':
      return isOverdue(notice)
        ? line(`${what} ${where} is OVERDUE: no run has succeeded since it was due.`)
        : line(`${what} ${where} FAILED.`);
    case 'incomplete':
      return line(`${what} ${where} is INCOMPLETE: something that belongs to it could not be read.`);
    case 'anomaly':
      return line(`${what} ${where} holds less than before. It may be meant; it may be a loss.`);
    case 'recovered':
      return line(
        `${what} ${where} works again${since === undefined ? '' : `, after failing since ${since}`}.`,
      );
    case 'drill':
      return line(`${what} ${where}: archives were restored into something thrown away.`);
    case 'prune':
      return line(`${what} ${where} removed ${notice.removed.length} archives.`);
    case 'success':
      return line(`${what} ${where} succeeded.`);
    case 'start':
      return line(`${what} ${where} has started.`);
    case 'test':
      return '';
    default:
      return kind satisfies never;
  }
}

function facts(notice: Notice): string[] {
  const { at, run, trigger, actor, due, duration_ms, location, failing_since: since } = notice;
  const lasted = duration_ms === undefined ? '' : ` after ${formatDuration(duration_ms)}`;
  const rows: [string, string | undefined][] = [
    ['when', `${at}${lasted}`],
    ['due', due],
    ['failing since', isTrouble(notice) && since !== at ? since : undefined],
    ['run', run === undefined ? undefined : `${run} (${trigger}, by ${actor})`],
    ['location', location],
  ];
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [line(`${name.padEnd(14)}${value}`)]));
}

function errorLines(errors: readonly RunError[]): string[] {
  const shown = errors
    .slice(0, ERRORS_MOST)
    .flatMap(({ code, message, hint = '', source }) => [
      `error ${code}${source === undefined ? '' : ` in ${line(source)}`}`,
      ...indented(message),
      ...indented(hint),
    ]);
  const rest = errors.length - ERRORS_MOST;
  return rest > 0 ? [...shown, `and ${rest} more`] : shown;
}

function archiveLine({ filename, size, raw_size, anomaly }: NoticeArchive): string {
  const sizes =
    size === undefined || raw_size === undefined
      ? ''
      : `  ${formatSize(size)} (${formatSize(raw_size)} before compression)`;
  return line(`${filename}${sizes}${anomaly === undefined ? '' : `  ANOMALY: ${anomaly.detail}`}`);
}

/** The commands that help, where there is something to do. */
function adviceFor({ kind, archives, drills, host }: Notice, job: string): string[] {
  const on = `what to do, on ${line(host)}`;
  const anomalous = archives.find(({ anomaly }) => anomaly !== undefined)?.filename ?? 'FILENAME';
  switch (kind) {
    case 'failure':
      if (job === PRUNE_TASK) return [on, '  cofre prune --dry-run', '  cofre prune'];
      if (job === SCRUB_TASK) return [on, '  cofre verify --all'];
      if (isTask(job)) {
        const failed = drills.find(({ verdict }) => verdict === 'failed')?.filename;
        return [on, ...(failed === undefined ? [] : [`  cofre show ${line(failed)}`]), '  cofre list'];
      }
      return [on, '  cofre check', `  cofre backup ${job}`];
    case 'incomplete':
      return [on, '  cofre check', ...archives.map(({ filename }) => `  cofre show ${line(filename)}`)];
    case 'anomaly':
      return [
        on,
        `  cofre show ${line(anomalous)}`,
        `  cofre acknowledge ${line(anomalous)}    if this is meant`,
      ];
    case 'recovered':
    case 'drill':
    case 'prune':
    case 'success':
    case 'start':
    case 'test':
      return [];
    default:
      return kind satisfies never;
  }
}

function some<T>(title: string, all: readonly T[], show: (each: T) => string): string[] {
  if (all.length === 0) return [];
  const rest = all.length - LINES_MOST;
  const shown = all.slice(0, LINES_MOST).map((each) => `  ${show(each)}`);
  return [title, ...shown, ...(rest > 0 ? [`  and ${rest} more`] : [])];
}

function indented(text: string): string[] {
  return text
    .split(/\r?\n/)
    .slice(0, LINES_MOST)
    .filter((part) => part !== '')
    .map((part) => `  ${line(part)}`);
}

function paragraphs(parts: readonly string[][]): string {
  return `${parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n')}\n`;
}

/** On one line, whatever a server or a file name holds: it may stand in the header of a mail. */
function line(text: string, most = LINE_LENGTH_MOST): string {
  const safe = printable(text);
  return safe.length > most ? `${safe.slice(0, most)}…` : safe;
}
