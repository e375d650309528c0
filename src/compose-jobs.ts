import { assertSources } from './compose-faults.ts';
import { stagingOf } from './compose-staging.ts';
import type { Config, SourceConfig } from './config/config.ts';
import { GLOBALS_SUFFIX } from './domain/archive-name.ts';
import { parseCron } from './domain/cron.ts';
import { BackupError } from './domain/errors.ts';
import type { Job } from './domain/job.ts';
import type { Source } from './domain/ports.ts';
import type { PolicyOf } from './engine/prune.ts';
import type { ScheduledJob } from './engine/scheduled-job.ts';
import { FilesSource } from './sources/files/files-source.ts';
import { GlobalsSource } from './sources/postgres/globals-source.ts';
import { PostgresSource } from './sources/postgres/postgres-source.ts';

/** Makes the adapter of a source. */
export type OpenSource = typeof openSource;

/** The jobs of a configuration with their sources made real. Throws CONFIG_INVALID with the faults of all. */
export function composeJobs(config: Config, open: OpenSource = openSource): ScheduledJob[] {
  assertSources(config);
  return config.jobs.map((job) => ({
    job: {
      ...job,
      sources: job.sources.flatMap((source) => [open(source, config), ...openGlobals(source)]),
    } satisfies Job,
    cron: cronOf(job.schedule, job.timezone),
  }));
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
