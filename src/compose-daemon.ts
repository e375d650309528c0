import type { App, Overrides } from './compose.ts';
import { composeJobs, cronOf, policiesOf } from './compose-jobs.ts';
import { composeNotifications, openSubscribers } from './compose-notify.ts';
import type { Config } from './config/config.ts';
import { AskedWork } from './daemon/asked-work.ts';
import { runDaemon } from './daemon/daemon.ts';
import { IndexPublisher } from './daemon/index-publisher.ts';
import { RunQueue } from './daemon/run-queue.ts';
import { Scheduler } from './daemon/scheduler.ts';
import { SystemdNotifier } from './daemon/systemd-notify.ts';
import { toBackupError } from './domain/errors.ts';
import { drillTaskOf, PRUNE_TASK, SCRUB_TASK } from './domain/journal-entry.ts';
import { drill } from './engine/drill.ts';
import type { DrillProgress } from './engine/drill-finding.ts';
import { newRunId } from './engine/journaling.ts';
import { newestVerified } from './engine/newest.ts';
import { prune } from './engine/prune.ts';
import { RunBoard } from './engine/run-board.ts';
import { runJob } from './engine/run.ts';
import type { RunProgress } from './engine/run-request.ts';
import type { ScheduledJob } from './engine/scheduled-job.ts';
import type { ScheduledTask } from './engine/scheduled-task.ts';
import { scrub } from './engine/scrub.ts';
import { Access } from './http/access.ts';
import { HttpServer } from './http/http-server.ts';
import { Tokens } from './http/tokens.ts';
import { withDeadline } from './lib/abort.ts';
import type { Logger } from './lib/log.ts';

const ACTOR = 'daemon';
/** Maintenance is not worth a random delay, and is made up for like a backup. */
const MAINTENANCE_POLICY = { catchUp: true, jitter_ms: 0 };

export interface RunningDaemon {
  /** Until the signal; see runDaemon. */
  run(signal: AbortSignal): Promise<void>;
  /** Takes a new configuration over; one that does not load leaves the old one running. Never rejects. */
  reload(load: () => Promise<Config>): Promise<void>;
}

/** The daemon of an app, with the adapters of the machine: HTTP, systemd. */
export function composeDaemon(app: App, log: Logger, overrides: Overrides = {}): RunningDaemon {
  const { context, metrics, status, events } = app;
  // Commands end before anybody asks them for metrics.
  context.journal.onEntry((entry) => events.journaled(entry));
  const systemd = new SystemdNotifier(process.env, ({ message }) => log.warn({ step: 'systemd' }, message));
  const queue = new RunQueue(app.config.concurrency);
  const board = new RunBoard(context.journal);
  let jobs = app.jobs;
  let config = app.config;
  const scheduler = new Scheduler(context, queue, tasksOf(app, board, config, jobs));
  const asked = new AskedWork();
  const tokens = new Tokens(config.http.tokens);
  const access = new Access(tokens, (address, why) =>
    log.warn({ step: 'http', address }, `a request from ${address} was refused: ${why}`),
  );
  const notifications = composeNotifications(app, log, () =>
    // What runs now may make up for what is missing, and says so when it does not.
    status.overdue(jobs).filter(({ job }) => !scheduler.running().has(job)),
  );
  let ready = false;
  events.configLoaded();

  const loadApi = async () => {
    const { composeApi } = await import('./compose-api.ts');
    const now = { jobs: () => jobs, config: () => config, isReady: () => ready };
    return composeApi({ app, log, board, scheduler, asked, ...now });
  };
  const http = new HttpServer(
    {
      notReady: async () => {
        if (!ready) return 'starting or stopping';
        return await context.location.assertUsable().then(
          () => undefined,
          (error: unknown) => toBackupError(error),
        );
      },
      health: () => status.health(jobs, scheduler.running()),
      metrics: async () => {
        await status.updateGauges(jobs);
        return { contentType: metrics.registry.contentType, text: await metrics.registry.metrics() };
      },
      failed: (error) => events.failed('http', {}, error),
    },
    {
      ...app.config.http,
      access,
      // Not even loaded where nobody could ask: an idle daemon stays small.
      ...(tokens.size === 0 ? {} : { loadApi }),
      onListening: (address) => log.info({ step: 'http', address }, `listening on ${address}`),
    },
  );

  const takeOver = async (load: () => Promise<Config>) => {
    await systemd.reloading();
    try {
      const next = await load();
      for (const key of restartKeys(app.config, next)) events.restartNeeded(key);
      // Sources leave out the location that is in use, which a reload does not change.
      const composed = composeJobs({ ...next, location: app.config.location }, overrides.openSource);
      await http.reloadTls();
      [config, jobs] = [next, composed];
      if (tokens.replace(config.http.tokens)) http.disconnect();
      app.inspectors.configure(config);
      app.restoreAdapters.configure(config);
      scheduler.replaceTasks(tasksOf(app, board, config, jobs));
      queue.setConcurrency(config.concurrency);
      notifications.reconfigure(async () => openSubscribers(next));
      events.configReloaded(jobs.map(({ job }) => job.name));
    } catch (error) {
      events.configRefused(toBackupError(error));
    }
    await systemd.ready();
  };
  let reloading = Promise.resolve();

  return {
    run: (signal) =>
      runDaemon(
        {
          context,
          log,
          systemd,
          http,
          services: [scheduler, asked, new IndexPublisher(app.index, events), notifications],
          onReady: (now) => {
            ready = now;
          },
          statusLine: async () => statusLine(await status.health(jobs, scheduler.running())),
        },
        signal,
      ),
    reload: (load) => {
      // One after the other: of two at once the older could end last, and stay.
      reloading = reloading.then(() => takeOver(load));
      return reloading;
    },
  };
}

/** The jobs and the maintenance of a configuration, as the scheduler runs them. */
function tasksOf(app: App, board: RunBoard, config: Config, jobs: readonly ScheduledJob[]): ScheduledTask[] {
  const { context } = app;
  const tasks = jobs.map(({ job, cron }): ScheduledTask => {
    const { name, enabled, catchUp, jitter_ms } = job;
    return {
      name,
      enabled,
      cron,
      policy: { catchUp, jitter_ms },
      run: async ({ due, trigger, missed }, signal) => {
        const startedAt = context.clock.now();
        const run = newRunId(startedAt);
        const onProgress = (progress: RunProgress) => board.progress(run, progress);
        const request = { run, startedAt, trigger, actor: ACTOR, due, missed, onProgress };
        return (await runJob(context, job, request, signal)).outcome;
      },
    };
  });
  const { enabled, retention, timezone, scrub: scrubbing } = config;
  const maintenance = { enabled, policy: MAINTENANCE_POLICY };
  const policyOf = policiesOf(config);
  tasks.push(...drillTasksOf(app, board, jobs));
  tasks.push({
    ...maintenance,
    name: PRUNE_TASK,
    cron: cronOf(retention.schedule, timezone),
    run: async ({ due, trigger }, signal) => {
      const request = { policyOf, dryRun: false, force: false, trigger, actor: ACTOR, due };
      await prune(context, request, signal);
      return signal.aborted ? 'cancelled' : 'succeeded';
    },
  });
  if (scrubbing === undefined) return tasks;
  tasks.push({
    ...maintenance,
    name: SCRUB_TASK,
    cron: cronOf(scrubbing.schedule, timezone),
    run: async ({ due, trigger }, signal) => {
      await scrub(context, { share: scrubbing.share, trigger, actor: ACTOR, due }, signal);
      return signal.aborted ? 'cancelled' : 'succeeded';
    },
  });
  return tasks;
}

/** The drills that have a schedule of their own: of the newest archive of each source of the job. */
function drillTasksOf({ context }: App, board: RunBoard, jobs: readonly ScheduledJob[]): ScheduledTask[] {
  return jobs.flatMap(({ job }): ScheduledTask[] => {
    const { drill: when, enabled, timezone, sources, timeout_ms } = job;
    if (when === undefined || when === 'each') return [];
    const task = drillTaskOf(job.name);
    return [
      {
        name: task,
        enabled,
        cron: cronOf(when.schedule, timezone),
        policy: MAINTENANCE_POLICY,
        run: async ({ due, trigger }, signal) => {
          const newest = sources.flatMap(({ name }) => newestVerified(context, name) ?? []);
          const filenames = newest.map(({ filename }) => filename);
          using deadline = withDeadline(signal, timeout_ms, `the drill of job ${job.name}`);
          const run = newRunId(context.clock.now());
          const onProgress = (_: string, progress: DrillProgress) => board.progress(run, progress);
          const request = { task, run, filenames, trigger, actor: ACTOR, due, onProgress };
          const results = await drill(context, request, deadline.signal);
          if (signal.aborted) return 'cancelled';
          return results.some(({ verdict }) => verdict === 'failed') ? 'failed' : 'succeeded';
        },
      },
    ];
  });
}

/** What a reload cannot change, as locks are held and sockets open. */
function restartKeys(before: Config, after: Config): string[] {
  const fixed = ({ location, requireMount, http }: Config) => ({
    location,
    requireMount,
    // Tokens and targets come and go; whether there is an API at all is settled.
    http: { ...http, restoreTargets: [], tokens: http.tokens.length > 0 },
  });
  const [old, next] = [fixed(before), fixed(after)];
  const keys = ['location', 'requireMount', 'http'] as const;
  return keys.filter((key) => JSON.stringify(old[key]) !== JSON.stringify(next[key]));
}

function statusLine({ status, jobs, problems }: Awaited<ReturnType<App['status']['health']>>): string {
  const running = jobs.filter((job) => job.running).map(({ job }) => job);
  const next = jobs
    .flatMap(({ job, next_run }) => (next_run === null ? [] : [`${next_run} ${job}`]))
    .sort()[0];
  if (running.length > 0) return `running ${running.join(', ')}`;
  if (status === 'failing') return problems.join('; ');
  return next === undefined ? 'no job is scheduled' : `next run ${next}`;
}
