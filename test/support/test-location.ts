import { Writable } from 'node:stream';
import { pino } from 'pino';
import { Catalogue } from '../../src/catalogue/catalogue.ts';
import { Journal } from '../../src/catalogue/journal.ts';
import { Location } from '../../src/catalogue/location.ts';
import { createCodec } from '../../src/codecs/codecs.ts';
import type { Job } from '../../src/domain/job.ts';
import type { Store } from '../../src/domain/ports.ts';
import type { EngineContext } from '../../src/engine/context.ts';
import { Events } from '../../src/engine/events.ts';
import { Metrics } from '../../src/engine/metrics.ts';
import type { RestoreAdapters } from '../../src/engine/restore-adapters.ts';
import { newRunId } from '../../src/engine/journaling.ts';
import type { RunRequest } from '../../src/engine/run-request.ts';
import { PlainDumpSurveyor } from '../../src/inspect/dump-surveyor.ts';
import { PlainDumpInspector } from '../../src/inspect/plain-dump.ts';
import { TarTreeInspector } from '../../src/inspect/tar-tree.ts';
import { TarTreeLister } from '../../src/inspect/tree-lister.ts';
import { DirectoryStore } from '../../src/stores/directory-store.ts';
import { FakeClock, FakeSource } from './fakes.ts';
import { restoreAdapters } from './restore-adapters.ts';
import { temporaryDirectory } from './temp-directory.ts';

export interface LogLine {
  level: string;
  msg: string;
  step?: string;
  [field: string]: unknown;
}

export interface TestLocation {
  readonly root: string;
  readonly location: Location;
  readonly store: Store;
  readonly clock: FakeClock;
  readonly metrics: Metrics;
  readonly context: EngineContext;
  /** Everything that was logged; nothing of it is printed. */
  readonly log: LogLine[];
  /** The sum of a metric's values with these labels; undefined when there is none. */
  metric(name: string, labels?: Record<string, string>): Promise<number | undefined>;
}

export interface TestLocationOptions {
  /** An existing location, to see what another process or a restart sees. */
  root?: string;
  clock?: FakeClock;
  wrapStore?: (store: Store) => Store;
  openInspector?: EngineContext['openInspector'];
  restoring?: Partial<RestoreAdapters>;
}

export const NOW = '2026-11-20T12:00:15.000Z';

/** A real location in a temporary directory, with all that the engine works with; only time is fake. */
export async function openTestLocation(options: TestLocationOptions = {}): Promise<TestLocation> {
  const root = options.root ?? (await temporaryDirectory());
  const clock = options.clock ?? new FakeClock(NOW);
  const location = await Location.open(root, { requireMount: false, create: true, write: true });
  const directory = new DirectoryStore(location.root, location.owner);
  const store = options.wrapStore?.(directory) ?? directory;
  const catalogue = new Catalogue(location, store);
  const journal = new Journal(location.journal, location.owner);
  const metrics = new Metrics();
  const log: LogLine[] = [];
  const events = new Events(captureLog(log), metrics);
  journal.onEntry((entry) => events.journaled(entry));
  const openInspector: EngineContext['openInspector'] = async ({ format }) =>
    format === 'tar' ? new TarTreeInspector() : new PlainDumpInspector();
  const context: EngineContext = {
    location,
    catalogue,
    journal,
    store,
    clock,
    events,
    openCodec: createCodec,
    openInspector: options.openInspector ?? openInspector,
    openSurveyor: async (_archive, ofRows) => new PlainDumpSurveyor(ofRows),
    version: '0.0.0-test',
    openRestoreAdapters: async () => restoreAdapters(options.restoring),
    openLister: (onEntry, { digests }) => new TarTreeLister({ onEntry, digests }),
  };
  const metric = async (name: string, labels: Record<string, string> = {}) => {
    const values = (await metrics.registry.getSingleMetric(name)?.get())?.values ?? [];
    const wanted = Object.entries(labels);
    const found = values.filter((value) => wanted.every(([key, text]) => value.labels[key] === text));
    return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
  };
  return { root, location, store, clock, metrics, context, log, metric };
}

/** A job of one fake source, unless others are given. */
export function testJob(facts: Partial<Job> = {}): Job {
  return {
    name: 'nightly',
    enabled: true,
    schedule: '0 2 * * *',
    timezone: 'UTC',
    sources: [new FakeSource()],
    compression: { type: 'gzip' },
    timeout_ms: 60_000,
    retries: 0,
    jitter_ms: 0,
    catchUp: true,
    grace_ms: 3_600_000,
    verify: 'contents',
    hooks: {},
    retention: { days: 30, keepLast: 1, hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0 },
    ...facts,
  };
}

export function testRequest(startedAt: Date, facts: Partial<RunRequest> = {}): RunRequest {
  return { run: newRunId(startedAt), startedAt, trigger: 'schedule', actor: 'daemon', ...facts };
}

/** A logger whose lines land in an array. */
function captureLog(lines: LogLine[]): pino.Logger {
  const sink = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.push(JSON.parse(chunk.toString()) as LogLine);
      done();
    },
  });
  return pino({ level: 'trace', base: null, formatters: { level: (level) => ({ level }) } }, sink);
}
