import { hostname } from 'node:os';
import type { App } from './compose.ts';
import { describeNotifier } from './compose-notify-check.ts';
import type { Config, NotifierConfig } from './config/config.ts';
import { BackupError } from './domain/errors.ts';
import type { Notifier } from './domain/ports.ts';
import type { Overdue } from './domain/notify-decision.ts';
import type { Logger } from './lib/log.ts';
import { attemptOnce } from './notify/deliver.ts';
import { EmailNotifier } from './notify/email-notifier.ts';
import { HealthchecksNotifier } from './notify/healthchecks-notifier.ts';
import { testNotice } from './notify/notices.ts';
import { Notifications } from './notify/notifications.ts';
import { NotifyEvents } from './notify/notify-events.ts';
import type { Subscriber } from './notify/teller.ts';
import { WebhookNotifier } from './notify/webhook-notifier.ts';

const ATTEMPT_MS = 15_000;
/** A quarter of an hour in all: a receiver that is updated or restarted is back by then. */
const DAEMON_PATIENCE = { attempt_ms: ATTEMPT_MS, pauses_ms: [5_000, 30_000, 120_000, 600_000] };
/** A command is waited for. */
const COMMAND_PATIENCE = { attempt_ms: 10_000, pauses_ms: [1_000, 5_000] };
/** What is under way when a daemon stops; the rest is told by the next. */
const DAEMON_DRAIN_MS = 4_000;
const COMMAND_DRAIN_MS = 30_000;
/** How long a command waits for another one that is telling. */
const COMMAND_WAIT_MS = 10_000;

/** The notifications of a daemon. @param overdue the jobs that are, and are not under way. */
export function composeNotifications(app: App, log: Logger, overdue: () => Overdue[]): Notifications {
  return new Notifications({
    ...partsOf(app, log),
    overdue,
    load: async () => openSubscribers(app.config),
    patience: DAEMON_PATIENCE,
    drain_ms: DAEMON_DRAIN_MS,
  });
}

/**
 * Does the work of a command, and tells the notifiers of it unless a daemon does. What cannot be told within
 * half a minute after the work, or is interrupted by the signal, is told by the next command or daemon.
 */
export async function whileTelling<T>(
  app: App,
  log: Logger,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  // Where nothing can be written nothing is journaled, which is all that there would be to tell.
  const canTell = await app.context.location.assertUsable().then(
    () => true,
    () => false,
  );
  if (!canTell) return await work();
  const notifications = new Notifications({
    ...partsOf(app, log),
    overdue: () => [],
    load: async () => openSubscribers(app.config),
    patience: COMMAND_PATIENCE,
    drain_ms: COMMAND_DRAIN_MS,
    lastWait_ms: COMMAND_WAIT_MS,
    hurry: signal,
  });
  const stop = new AbortController();
  const telling = notifications.run(stop.signal);
  try {
    return await work();
  } finally {
    stop.abort();
    await telling;
  }
}

export function openSubscribers({ notify }: Pick<Config, 'notify'>): Subscriber[] {
  return notify.map((config): Subscriber => {
    const isPing = config.type === 'healthchecks';
    return {
      notifier: openNotifier(config),
      subscription: {
        topics: new Set(config.on),
        // A check waits for pings, and notices by itself when none comes.
        starts: isPing,
        overdue: !isPing,
        ...(config.jobs === undefined ? {} : { jobs: new Set(config.jobs) }),
        repeat_ms: config.repeat_ms,
      },
    };
  });
}

export interface TestResult {
  notifier: string;
  ok: boolean;
  detail: string;
}

/** One message to each of the named notifiers, or to all; one attempt each. Throws USAGE for an unknown name. */
export async function testNotifiers(
  config: Config,
  names: readonly string[],
  signal: AbortSignal,
): Promise<TestResult[]> {
  const notice = testNotice(originOf(config.location), new Date());
  const chosen = chooseNotifiers(config, names);
  return await Promise.all(
    chosen.map(async (each) => {
      const fault = await attemptOnce(openNotifier(each), notice, ATTEMPT_MS, signal);
      signal.throwIfAborted();
      const { name: notifier } = each;
      if (fault === undefined) return { notifier, ok: true, detail: `sent: ${describeNotifier(each)}` };
      const hint = fault.hint === undefined ? '' : `. ${fault.hint}`;
      return { notifier, ok: false, detail: `${fault.message}${hint}` };
    }),
  );
}

function openNotifier(config: NotifierConfig): Notifier {
  switch (config.type) {
    case 'email':
      return new EmailNotifier(config);
    case 'webhook':
      return new WebhookNotifier(config);
    case 'healthchecks':
      return new HealthchecksNotifier(config);
    default:
      return config satisfies never;
  }
}

function partsOf({ context, metrics, events, config }: App, log: Logger) {
  return { context, events: new NotifyEvents(log, metrics, events), origin: originOf(config.location) };
}

function originOf(location: string) {
  return { host: hostname(), location };
}

function chooseNotifiers({ notify }: Config, names: readonly string[]): NotifierConfig[] {
  const known = notify.map(({ name }) => name).join(', ');
  if (notify.length === 0) {
    throw new BackupError('USAGE', 'no notifier is configured', { hint: 'Add one to `notify`.' });
  }
  const unknown = names.filter((name) => !notify.some((each) => each.name === name));
  if (unknown.length > 0) {
    throw new BackupError('USAGE', `there is no notifier ${unknown.join(', ')}`, {
      hint: `Configured are ${known}.`,
    });
  }
  return notify.filter(({ name }) => names.length === 0 || names.includes(name));
}
