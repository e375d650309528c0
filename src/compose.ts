import { Catalogue } from './catalogue/catalogue.ts';
import { IndexFile } from './catalogue/index-file.ts';
import { Journal } from './catalogue/journal.ts';
import { Location } from './catalogue/location.ts';
import { createCodec } from './codecs/codecs.ts';
import type { Config } from './config/config.ts';
import type { Clock } from './domain/ports.ts';
import type { EngineContext } from './engine/context.ts';
import { Events } from './engine/events.ts';
import { Metrics } from './engine/metrics.ts';
import type { PolicyOf } from './engine/prune.ts';
import type { ScheduledJob } from './engine/scheduled-job.ts';
import { Status } from './engine/status.ts';
import { Inspectors } from './compose-inspectors.ts';
import { composeJobs, type OpenSource, policiesOf } from './compose-jobs.ts';
import { RestoreAdapterFactory } from './compose-restore.ts';
import { TarTreeLister } from './inspect/tree-lister.ts';
import type { Logger } from './lib/log.ts';
import { SystemClock } from './lib/system-clock.ts';
import { DirectoryStore } from './stores/directory-store.ts';
import { VERSION } from './version.ts';

/** What is put in place of the real thing: by tests, and by the demo for its embedded database. */
export interface Overrides {
  clock?: Clock;
  openSource?: OpenSource;
}

/** Everything that works on one location. */
export interface App {
  readonly config: Config;
  readonly context: EngineContext;
  readonly jobs: readonly ScheduledJob[];
  readonly policyOf: PolicyOf;
  readonly inspectors: Inspectors;
  readonly restoreAdapters: RestoreAdapterFactory;
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
  const jobs = composeJobs(config, overrides.openSource);
  const location = await Location.open(config.location, { requireMount, create, write });
  const store = new DirectoryStore(location.root, location.owner);
  const catalogue = new Catalogue(location, store);
  const journal = new Journal(location.journal, location.owner);
  const metrics = new Metrics();
  const events = new Events(log, metrics);
  const inspectors = new Inspectors(config);
  const restoreAdapters = new RestoreAdapterFactory(config);
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
    version: VERSION,
    openRestoreAdapters: async () => restoreAdapters.open(),
    openLister: (onEntry, { digests }) => new TarTreeLister({ onEntry, digests }),
  };
  return {
    config,
    context,
    jobs,
    policyOf: policiesOf(config),
    inspectors,
    restoreAdapters,
    index: new IndexFile(location, catalogue),
    metrics,
    events,
    status: new Status(context, metrics),
  };
}
