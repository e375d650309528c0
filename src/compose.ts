import { Catalogue } from './catalogue/catalogue.ts';
import { IndexFile } from './catalogue/index-file.ts';
import { Journal } from './catalogue/journal.ts';
import { Location } from './catalogue/location.ts';
import { createCodec } from './codecs/codecs.ts';
import type { Config, JobConfig, SourceConfig } from './config/config.ts';
import { GLOBALS_SUFFIX } from './domain/archive-name.ts';
import { parseCron } from './domain/cron.ts';
import { BackupError } from './domain/errors.ts';
import type { Job } from './domain/job.ts';
import type { Clock, Source } from './domain/ports.ts';
import type { EngineContext } from './engine/context.ts';
import { Events } from './engine/events.ts';
import { Metrics } from './engine/metrics.ts';
import type { PolicyOf } from './engine/prune.ts';
import type { ScheduledJob } from './engine/scheduled-job.ts';
import { Status } from './engine/status.ts';
import { Inspectors } from './compose-inspectors.ts';
import { Restoring } from './compose-restore.ts';
import { stagingOf } from './compose-staging.ts';
import { TarTreeLister } from './inspect/tree-lister.ts';
import type { Logger } from './lib/log.ts';
import { SystemClock } from './lib/system-clock.ts';
import { FilesSource } from './sources/files/files-source.ts';
import { GlobalsSource } from './sources/postgres/globals-source.ts';
import { PostgresSource } from './sources/postgres/postgres-source.ts';
import { DirectoryStore } from './stores/directory-store.ts';
import { VERSION } from './version.ts';

/** What is put in place of the real thing: by tests, and by the demo for its embedded database. */
export interface Overrides {
  clock?: Clock;
  openSource?: typeof openSource;
}

/** Everything that works on one location. */
export interface App {
  readonly config: Config;
  readonly context: EngineContext;
  readonly jobs: readonly ScheduledJob[];
  readonly policyOf: PolicyOf;
  readonly inspectors: Inspectors;
  readonly restoring: Restoring;
  readonly index: IndexFile;
  readonly metrics: Metrics;
  readonly events: Events;
  readonly status: Status;
}

export interface OpenOptions {
  /** Makes the location if it is missing. */
  create: boolean;
  /** False only looks, which also works where nothing can be written. Default: true. */
  write?: boolean;
}

/** Throws LOCATION_UNUSABLE, and what composeJobs throws before anything is made. */
export async function composeApp(
  config: Config,
  log: Logger,
  { create, write = true }: OpenOptions,
  overrides: Overrides = {},
): Promise<App> {
  const { requireMount } = config;
  const jobs = composeJobs(config, overrides);
  const location = await Location.open(config.location, { requireMount, create, write });
  const store = new DirectoryStore(location.root, location.owner);
  const catalogue = new Catalogue(location, store);
  const journal = new Journal(location.journal, location.owner);
  const metrics = new Metrics();
  const events = new Events(log, metrics);
  journal.onEntry((entry) => events.journaled(entry));
  const inspectors = new Inspectors(config);
  const restoring = new Restoring(config);
  const context: EngineContext = {
    location,
    catalogue,
    journal,
    store,
    events,
    clock: overrides.clock ?? new SystemClock(),
    openCodec: createCodec,
    openInspector: (archive, stop) => inspectors.open(archive, stop),
    openSurveyor: inspectors.openSurveyor,
    restoring,
    openLister: (onEntry, { digests }) => new TarTreeLister({ onEntry, digests }),
  };
  return {
    config,
    context,
    jobs,
    policyOf: policiesOf(config),
    inspectors,
    restoring,
    index: new IndexFile(location, catalogue),
    metrics,
    events,
    status: new Status(context, metrics, VERSION),
  };
}

/** The jobs of a configuration with their sources made real. Throws CONFIG_INVALID with the faults of all. */
export function composeJobs(config: Config, overrides: Overrides = {}): ScheduledJob[] {
  const open = overrides.openSource ?? openSource;
  const faults: BackupError[] = [];
  const openAll = (sources: readonly SourceConfig[]) =>
    sources.flatMap((source) => {
      try {
        return [open(source, config), ...openGlobals(source)];
      } catch (error) {
        if (!(error instanceof BackupError) || error.code !== 'CONFIG_INVALID') throw error;
        faults.push(error);
        return [];
      }
    });
  const jobs = config.jobs.map((job: JobConfig) => ({
    job: { ...job, sources: openAll(job.sources) } satisfies Job,
    cron: cronOf(job.schedule, job.timezone),
  }));
  if (faults.length > 0) throw allOf(faults);
  return jobs;
}

/** One error with a line for each. */
function allOf(faults: readonly BackupError[]): BackupError {
  const [first] = faults;
  if (first !== undefined && faults.length === 1) return first;
  const lines = [`the configuration has ${faults.length} faults:`, ...faults.map(({ message }) => message)];
  const hints = new Set(faults.flatMap(({ hint }) => hint ?? []));
  return new BackupError('CONFIG_INVALID', lines.join('\n'), {
    hint: [...hints].join('\n  '),
    cause: first,
  });
}

/** The retention that goes for a source. */
export function policiesOf(config: Config): PolicyOf {
  const bySource = new Map(
    config.jobs.flatMap(({ sources, retention: policy, timezone }) =>
      sources.flatMap(({ name }) =>
        // Also where the roles are no longer wanted: their series still belongs to the job.
        [name, name + GLOBALS_SUFFIX].map((series) => [series, { policy, timezone }] as const),
      ),
    ),
  );
  const fallback = { policy: config.retention.policy, timezone: config.timezone };
  return (source) => bySource.get(source) ?? fallback;
}

/** A schedule that validation has accepted already. */
export function cronOf(schedule: string, timezone: string) {
  const parsed = parseCron(schedule, timezone);
  if (!parsed.ok)
    throw new BackupError('CONFIG_INVALID', `the schedule '${schedule}' is invalid: ${parsed.reason}`);
  return parsed.cron;
}

/** The source of the roles and tablespaces that go with a database, where they are wanted. */
function openGlobals(source: SourceConfig): Source[] {
  if (source.type !== 'postgres' || source.globals === undefined) return [];
  const { name: database, url, binDir, globals } = source;
  return [new GlobalsSource({ database, url, binDir, ...globals })];
}

/** The adapter of the machine for a source, which never reads the location. Throws CONFIG_INVALID. */
export function openSource(
  source: SourceConfig,
  { location, scratch }: Pick<Config, 'location' | 'scratch'>,
): Source {
  switch (source.type) {
    case 'postgres':
      return new PostgresSource(
        source.format === 'directory' ? { ...source, staging: stagingOf(scratch) } : source,
      );
    case 'files':
      return new FilesSource({
        ...source,
        directories: source.directories.map(({ path, name }) => ({ path, as: name })),
        leaveOut: [location],
      });
    default:
      return source satisfies never;
  }
}
