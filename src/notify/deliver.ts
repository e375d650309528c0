import { type BackupError, toBackupError } from '../domain/errors.ts';
import type { Notice } from '../domain/notice.ts';
import type { Clock, Notifier } from '../domain/ports.ts';
import { formatDuration } from '../domain/duration.ts';
import { DeliveryError } from './delivery-error.ts';
import type { NotifyEvents } from './notify-events.ts';

/** How long somebody tries. */
export interface Patience {
  /** Of one attempt. */
  attempt_ms: number;
  /** Before the second attempt, the third, and so on. */
  pauses_ms: readonly number[];
}

/** `stopped`: the signal came before an answer, so that nobody knows. */
export type Delivery = 'sent' | 'failed' | 'stopped';

export interface DeliveryParts {
  clock: Clock;
  events: NotifyEvents;
  patience: Patience;
}

/** Sends until it is taken, is refused for good, or patience ends. Never throws. */
export async function deliver(
  { clock, events, patience }: DeliveryParts,
  notifier: Notifier,
  notice: Notice,
  signal: AbortSignal,
): Promise<Delivery> {
  for (let attempt = 1; ; attempt += 1) {
    const fault = await attemptOnce(notifier, notice, patience.attempt_ms, signal);
    if (fault === undefined) {
      events.sent(notifier.id, notice);
      return 'sent';
    }
    if (signal.aborted) return stopped(events, notifier, notice);
    const pause_ms = patience.pauses_ms[attempt - 1];
    if (pause_ms === undefined || (fault instanceof DeliveryError && fault.isFinal)) {
      events.failed(notifier.id, notice, fault);
      return 'failed';
    }
    events.retried(notifier.id, notice, fault, attempt, pause_ms);
    const until = new Date(clock.now().getTime() + pause_ms);
    while (clock.now() < until && !signal.aborted) await clock.sleepUntil(until, signal);
    if (signal.aborted) return stopped(events, notifier, notice);
  }
}

/** Returns what went wrong. */
export async function attemptOnce(
  notifier: Notifier,
  notice: Notice,
  attempt_ms: number,
  signal: AbortSignal,
): Promise<BackupError | undefined> {
  const timeout = AbortSignal.timeout(attempt_ms);
  try {
    await notifier.notify(notice, AbortSignal.any([signal, timeout]));
    return undefined;
  } catch (error) {
    if (!timeout.aborted || error instanceof DeliveryError) return toBackupError(error, notifier.id);
    return new DeliveryError(`no answer within ${formatDuration(attempt_ms)}`, {
      hint: 'Look whether the receiver is reachable from this machine, and how long it takes to answer.',
    });
  }
}

function stopped(events: NotifyEvents, { id }: Notifier, notice: Notice): 'stopped' {
  events.postponed(id, notice);
  return 'stopped';
}
