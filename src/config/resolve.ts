/** From what the file says to what the program uses. Runs on validated input only, so nothing here can fail. */
import { resolve } from 'node:path';
import { DEFAULT_LEVELS } from '../domain/compression-levels.ts';
import { parseDuration } from '../domain/duration.ts';
import type { Root } from '../domain/manifest.ts';
import type { RetentionPolicy } from '../domain/retention.ts';
import type {
  Config,
  FilesSourceConfig,
  HttpConfig,
  JobConfig,
  ObjectPatterns,
  PostgresSourceConfig,
  SourceConfig,
} from './config.ts';
import { memberNameOf } from './cross-checks.ts';
import { formatPath } from './faults.ts';
import type { HttpInput } from './http-schema.ts';
import { resolveNotify } from './resolve-notify.ts';
import type { CompressionInput, ConfigInput, JobInput } from './schema.ts';
import type { DirectoryInput, FilesInput, PostgresInput, SourceInput } from './source-schema.ts';

/** What the file itself does not hold. */
export interface Surroundings {
  /** The directory of the configuration file: relative paths are below it. */
  directory: string;
  /** Connection URIs by the path of their key. */
  secrets: ReadonlyMap<string, string>;
}

export function resolveConfig(input: ConfigInput, surroundings: Surroundings): Config {
  const { enabled, timezone, concurrency, requireMount, scrub } = input;
  return {
    enabled,
    timezone,
    location: resolve(surroundings.directory, input.location),
    jobs: Object.entries(input.jobs).map(([name, job]) => resolveJob(name, job, input, surroundings)),
    concurrency,
    requireMount,
    retention: { schedule: input.retention.schedule, policy: policyOf(input) },
    ...(scrub === undefined ? {} : { scrub }),
    scratch: resolveScratch(input.scratch, surroundings),
    http: resolveHttp(input.http, surroundings),
    notify: resolveNotify(input.notify, surroundings),
  };
}

function resolveScratch(
  { directory }: ConfigInput['scratch'],
  { directory: base, secrets }: Surroundings,
): Config['scratch'] {
  const url = secrets.get('scratch.url');
  return {
    ...(directory === undefined ? {} : { directory: resolve(base, directory) }),
    ...(url === undefined ? {} : { url }),
  };
}

function resolveHttp(input: HttpInput, { directory, secrets }: Surroundings): HttpConfig {
  const { host, port, socket, socketMode, tls, metrics, trustedProxies } = input;
  const at = (path: string) => resolve(directory, path);
  return {
    host,
    port,
    ...(socket === undefined ? {} : { socket: at(socket) }),
    socketMode: Number.parseInt(socketMode, 8),
    ...(tls === undefined ? {} : { tls: { cert: at(tls.cert), key: at(tls.key) } }),
    tokens: input.tokens.map(({ name, scopes }, index) => ({
      name,
      token: secrets.get(formatPath(['http', 'tokens', index, 'token'])) ?? '',
      scopes,
    })),
    metrics,
    trustedProxies,
    restoreTargets: input.restoreTargets.map((target, index) =>
      'url' in target
        ? { name: target.name, url: secrets.get(formatPath(['http', 'restoreTargets', index, 'url'])) ?? '' }
        : { name: target.name, directory: at(target.directory) },
    ),
  };
}

function resolveJob(name: string, job: JobInput, top: ConfigInput, surroundings: Surroundings): JobConfig {
  const { before, after, failure } = job.hooks ?? {};
  return {
    name,
    enabled: top.enabled && (job.enabled ?? true),
    schedule: job.schedule,
    timezone: job.timezone ?? top.timezone,
    sources: job.sources.map((source, index) =>
      resolveSource(source, formatPath(['jobs', name, 'sources', index, 'url']), surroundings),
    ),
    compression: resolveCompression(job.compression ?? top.compression),
    timeout_ms: milliseconds(job.timeout ?? top.timeout),
    retries: job.retries ?? top.retries,
    jitter_ms: milliseconds(job.jitter ?? top.jitter),
    catchUp: job.catchUp ?? top.catchUp,
    grace_ms: milliseconds(job.grace ?? top.grace),
    verify: job.verify ?? top.verify,
    hooks: {
      ...(before === undefined ? {} : { before }),
      ...(after === undefined ? {} : { after }),
      ...(failure === undefined ? {} : { failure }),
    },
    retention: policyOf(top, job),
    ...anomalyOf(top, job),
    ...(job.drill === undefined ? {} : { drill: job.drill }),
  };
}

function resolveSource(source: SourceInput, urlPath: string, surroundings: Surroundings): SourceConfig {
  return source.type === 'postgres'
    ? resolvePostgres(source, surroundings.secrets.get(urlPath) ?? '', surroundings.directory)
    : resolveFiles(source, surroundings.directory);
}

function resolvePostgres(source: PostgresInput, url: string, directory: string): PostgresSourceConfig {
  const { type, name, format, dumpJobs, binDir, exclusive, globals } = source;
  return {
    type,
    name,
    url,
    format,
    ...(format === 'directory' ? { dumpJobs } : {}),
    include: patternsOf(source.include),
    exclude: patternsOf(source.exclude),
    lockWaitTimeout_ms: milliseconds(source.lockWaitTimeout),
    ...(binDir === undefined ? {} : { binDir: resolve(directory, binDir) }),
    exclusive,
    ...(globals === false ? {} : { globals: globals === true ? { passwords: false } : globals }),
  };
}

function resolveFiles(source: FilesInput, directory: string): FilesSourceConfig {
  const { type, name, exclude = [] } = source;
  return { type, name, directories: source.directories.map((entry) => rootOf(entry, directory)), exclude };
}

function rootOf(entry: DirectoryInput, directory: string): Root {
  const { path, as } = typeof entry === 'string' ? { path: entry } : entry;
  return { name: as ?? memberNameOf(path, directory), path: resolve(directory, path) };
}

function patternsOf(
  selection: { schemas?: string[] | undefined; tables?: string[] | undefined } = {},
): ObjectPatterns {
  return { schemas: selection.schemas ?? [], tables: selection.tables ?? [] };
}

function resolveCompression(input: CompressionInput): JobConfig['compression'] {
  if (typeof input !== 'string') return input;
  return input === 'none' ? { type: input } : { type: input, level: DEFAULT_LEVELS[input] };
}

/** The job's own where it has any, as a whole. */
function anomalyOf(top: ConfigInput, job: JobInput): Pick<JobConfig, 'anomaly'> {
  const anomaly = job.anomaly ?? top.anomaly ?? false;
  return anomaly === false ? {} : { anomaly };
}

/** The rules of the top level, each replaced by the job's own where it has one. */
function policyOf(top: ConfigInput, job?: JobInput): RetentionPolicy {
  const { hourly = 0, daily = 0, weekly = 0, monthly = 0, yearly = 0, days, keepLast } = top.retention;
  const own = Object.entries(job?.retention ?? {}).filter(([, value]) => value !== undefined);
  return { days, keepLast, hourly, daily, weekly, monthly, yearly, ...Object.fromEntries(own) };
}

function milliseconds(duration: string): number {
  return parseDuration(duration) ?? 0;
}
