import { isGlobalsSource, parseTimestamp } from '../../domain/archive-name.ts';
import { formatDuration } from '../../domain/duration.ts';
import { BackupError } from '../../domain/errors.ts';
import type { ArchiveType, Manifest } from '../../domain/manifest.ts';
import { plural } from '../../domain/plural.ts';
import { POSTGRES_URI_START } from '../../domain/postgres-uri.ts';
import { formatSize } from '../../domain/size.ts';
import type { EngineContext } from '../../engine/context.ts';
import { nameNewestVerified } from '../../engine/newest.ts';
import { restore as restoreArchive } from '../../engine/restore.ts';
import type { RestoreProgress, RestoreReport } from '../../engine/restore-request.ts';
import type { Answer } from '../answer.ts';
import { openProgress, stepProgress } from '../progress.ts';
import type { Session } from '../session.ts';

/** As commander hands them over; `--no-…` flags are true unless they are given. */
export interface RestoreFlags {
  to?: string;
  latest?: string;
  at?: string;
  dryRun?: boolean;
  create?: boolean;
  clean?: boolean;
  jobs?: string;
  transaction: boolean;
  owner: boolean;
  forceSource?: boolean;
  schema?: string[];
  table?: string[];
  globals?: string | true;
  path?: string[];
  overwrite?: boolean;
  outsideLinks?: boolean;
}

const JOBS_MAX = 64;
const DEFAULT_JOBS = 2;

/** Flags that mean something for one type of archive only. */
const FLAGS_OF = {
  database: ['create', 'clean', 'jobs', 'forceSource', 'schema', 'table', 'globals'],
  files: ['path', 'overwrite', 'outsideLinks'],
} as const satisfies Record<ArchiveType, readonly (keyof RestoreFlags)[]>;

/** Those that are given as `--no-…`. */
const DENIED = new Set<keyof RestoreFlags>(['owner', 'transaction']);
/** A misspelt `postgresql://` is no directory to be made. */
const OTHER_URI = /^[a-z][a-z0-9+.-]*:\/\//i;

/** `cofre restore`: puts one archive back, after it was verified, and compares what stands there with it. */
export async function restore(
  session: Session,
  named: string | undefined,
  flags: RestoreFlags,
): Promise<Answer> {
  const { to } = flags;
  if (to === undefined || to === '') {
    throw new BackupError('USAGE', 'restore needs --to', {
      hint: 'Name where to: `--to postgresql://user@host/database`, or `--to DIRECTORY` for files.',
    });
  }
  const { context } = await session.open({ write: false });
  const filename = chooseArchive(context, named, flags);
  checkFlags(flags, to, await context.catalogue.read(filename));
  const { actor, signal } = session;
  using progress = openProgress(!session.json);
  const tell = stepProgress(progress);
  const report = await restoreArchive(
    context,
    {
      filename,
      to,
      dryRun: flags.dryRun ?? false,
      actor,
      database: {
        create: flags.create ?? false,
        clean: flags.clean ?? false,
        jobs: parseJobs(flags.jobs),
        singleTransaction: flags.transaction,
        owners: flags.owner,
        forceSource: flags.forceSource ?? false,
        schemas: flags.schema ?? [],
        tables: flags.table ?? [],
        ...(flags.globals === undefined ? {} : { globals: flags.globals }),
      },
      files: {
        paths: flags.path ?? [],
        overwrite: flags.overwrite ?? false,
        outsideLinks: flags.outsideLinks ?? false,
        owners: flags.owner && process.geteuid?.() === 0,
      },
      onProgress: (now) => tell(`${filename}: ${STEP_LABEL[now.step]}`, now),
    },
    signal,
  );
  const success = report.differences.length === 0;
  return { status: success ? 0 : 1, json: { success, ...report }, text: describe(report) };
}

const STEP_LABEL = {
  verify: 'verifying',
  globals: 'making roles',
  restore: 'restoring',
  compare: 'comparing',
} as const satisfies Record<RestoreProgress['step'], string>;

/** The named one, or the newest of a source that verifies, at a time where one is given. */
function chooseArchive(
  context: EngineContext,
  named: string | undefined,
  { latest, at }: RestoreFlags,
): string {
  if ((named === undefined) === (latest === undefined)) {
    throw new BackupError('USAGE', 'restore takes either a filename or --latest SOURCE', {
      hint: '`cofre list` shows the filenames of all backups.',
    });
  }
  if (named !== undefined) {
    if (at === undefined) return named;
    throw new BackupError('USAGE', '--at goes with --latest SOURCE, not with a filename', {
      hint: 'Leave one of them out.',
    });
  }
  const then = at === undefined ? undefined : { time: parseTime(at), text: at };
  return nameNewestVerified(context, latest ?? '', then);
}

/** `2026-11-24`, with a time of day or without, in the zone that is given or in that of this machine. */
const ISO_TIME =
  /^(\d{4}-\d{2}-(\d{2}))(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?) ?(Z|[+-]\d{2}(?::?\d{2})?)?)?$/i;

/** Date alone would take `3`, and `yesterday 1`, for days of the year 2001. */
function parseTime(text: string): Date {
  const [, day, ofMonth, time = '00:00', zone = ''] = ISO_TIME.exec(text) ?? [];
  const exact = zone.replace(
    /^([+-]\d{2})(?::?(\d{2}))?$/,
    (_all, hours, minutes = '00') => `${hours}:${minutes}`,
  );
  const at = parseTimestamp(text) ?? new Date(`${day}T${time}${exact}`);
  // Date makes the second of March of a 30th of February.
  const isDay = day === undefined || new Date(`${day}T00:00Z`).getUTCDate() === Number(ofMonth);
  if (!Number.isNaN(at.getTime()) && isDay) return at;
  throw new BackupError('USAGE', `--at is ${JSON.stringify(text)}, which is no time`, {
    hint: 'Write it as 2026-11-24T02:00:00Z, as 2026-11-24 02:00 or 2026-11-24 (in the time zone of this machine), or as the names of archives do: 20261124_020000 (UTC).',
  });
}

function parseJobs(text: string | undefined): number {
  if (text === undefined) return DEFAULT_JOBS;
  const jobs = Number(text);
  if (Number.isInteger(jobs) && jobs >= 1 && jobs <= JOBS_MAX) return jobs;
  throw new BackupError('USAGE', `--jobs is ${JSON.stringify(text)}`, {
    hint: `Allowed is a whole number from 1 to ${JOBS_MAX}.`,
  });
}

function checkFlags(flags: RestoreFlags, to: string, { type, format, source }: Manifest): void {
  const isUri = POSTGRES_URI_START.test(to);
  if (isUri !== (type === 'database') || (!isUri && OTHER_URI.test(to))) {
    const [what, wanted] =
      type === 'database'
        ? ['a database', 'a connection URI such as postgresql://user@host/database']
        : ['files', 'a directory'];
    const given = isUri ? 'a connection URI' : OTHER_URI.test(to) ? 'a URI of another kind' : 'a path';
    throw new BackupError('USAGE', `an archive of ${what} is restored to ${wanted}`, {
      hint: `Correct --to, which is ${given}.`,
    });
  }
  const other = type === 'database' ? 'files' : 'database';
  refuseFlags(flags, FLAGS_OF[other], `an archive of ${other === 'files' ? 'files' : 'a database'}`);
  if (isGlobalsSource(source)) {
    refuseFlags(flags, [...FLAGS_OF.database, ...DENIED], 'an archive of a database, not with one of roles');
  }
  if (format === 'plain') {
    refuseFlags(flags, ['schema', 'table'], OF_ARCHIVES, WHOLE_ONLY);
    refuseFlags(flags, ['jobs'], OF_ARCHIVES);
  } else refuseFlags(flags, ['transaction'], 'the plain format');
  if (flags.clean === true && (flags.schema !== undefined || flags.table !== undefined)) {
    throw new BackupError(
      'USAGE',
      '--clean replaces a whole database: it does not go with --schema and --table',
      {
        hint: 'Leave --clean out to add the tables to the database, which must not have them (rename or drop those first), or leave --schema and --table out to replace all of it.',
      },
    );
  }
}

const OF_ARCHIVES = 'the custom and directory formats';
const WHOLE_ONLY =
  'This archive is plain: restore it into a database of its own (--create), and take from there what you need, with `pg_dump --table=… | psql`.';

function refuseFlags(
  flags: RestoreFlags,
  names: readonly (keyof RestoreFlags)[],
  what: string,
  hint = 'Leave it out.',
): void {
  const given = names.find((name) => (DENIED.has(name) ? flags[name] === false : flags[name] !== undefined));
  if (given === undefined) return;
  const flag = given.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new BackupError('USAGE', `--${DENIED.has(given) ? 'no-' : ''}${flag} goes only with ${what}`, {
    hint,
  });
}

function describe({
  filename,
  target,
  dry_run,
  steps,
  restored,
  compared,
  differences,
  duration_ms,
}: RestoreReport): string {
  const lines = steps.map((step, index) => `${index + 1}. ${step}`);
  if (dry_run) return ['nothing was touched:', ...lines].join('\n');
  const figures =
    restored === undefined
      ? ''
      : 'tables' in restored
        ? `: ${plural(restored.tables, 'table')} with ${plural(restored.rows, 'row')}`
        : `: ${plural(restored.entries, 'entry')} with ${formatSize(restored.bytes)} of data`;
  const asRecorded = compared ? ', as recorded' : '';
  const summary =
    differences.length === 0
      ? `restored ${filename} into ${target} in ${formatDuration(duration_ms)}${figures}${asRecorded}`
      : `restored ${filename} into ${target}, BUT what stands there is not what was recorded:`;
  return [...lines, summary, ...differences.map((difference) => `  ${difference}`)].join('\n');
}
