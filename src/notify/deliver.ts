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

/** `sent`: at least some got it. `stopped`: the signal came before an answer, so that nobody knows. */
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
  const pauses_ms = [...patience.pauses_ms];
  for (let attempt = 1; ; attempt += 1) {
    const fault = await attemptOnce(notifier, notice, patience.attempt_ms, signal);
    if (fault === undefined) {
      events.sent(notifier.id, notice);
      return 'sent';
    }
    if (signal.aborted) return stopped(events, notifier, notice);
    const { isFinal, isPartial, retryAfter_ms } = adviceOf(fault);
    const pause_ms = isFinal ? undefined : takePause(pauses_ms, retryAfter_ms);
    if (pause_ms === undefined) {
      events.failed(notifier.id, notice, fault);
      // Told anew each time that a job fails, those who got it would be told more often than `repeat` says.
      return isPartial ? 'sent' : 'failed';
    }
    events.retried(notifier.id, notice, fault, attempt, pause_ms);
    await pause(clock, pause_ms, signal);
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

function adviceOf(fault: BackupError) {
  return fault instanceof DeliveryError ? fault : { isFinal: false, isPartial: false, retryAfter_ms: 0 };
}

/**
 * The next pause. Where the receiver asks for a longer one it takes the following ones too, so that patience ends
 * when it would have ended. Undefined: it has ended.
 */
function takePause(pauses_ms: number[], least_ms: number): number | undefined {
  let pause_ms = pauses_ms.shift();
  while (pause_ms !== undefined && pause_ms < least_ms && pauses_ms.length > 0) {
    pause_ms += pauses_ms.shift() ?? 0;
  }
  return pause_ms;
}

/** Ends early where the clock is set back: by how much nobody knows. */
async function pause(clock: Clock, pause_ms: number, signal: AbortSignal): Promise<void> {
  const from = clock.now();
  const until = new Date(from.getTime() + pause_ms);
  const isBetween = (now: Date) => from <= now && now < until;
  while (isBetween(clock.now()) && !signal.aborted) await clock.sleepUntil(until, signal);
}

function stopped(events: NotifyEvents, { id }: Notifier, notice: Notice): 'stopped' {
  events.postponed(id, notice);
  return 'stopped';
}
