import type { BackupError } from '../domain/errors.ts';
import { formatDuration } from '../domain/duration.ts';
import type { Notice } from '../domain/notice.ts';
import type { Events } from '../engine/events.ts';
import type { Metrics } from '../engine/metrics.ts';
import type { Logger } from '../lib/log.ts';

/** Each event of the notifications writes its log line and its metric together, as `Events` does. */
export class NotifyEvents {
  readonly #log: Logger;
  readonly #metrics: Metrics;
  readonly #events: Events;

  constructor(log: Logger, metrics: Metrics, events: Events) {
    this.#log = log;
    this.#metrics = metrics;
    this.#events = events;
  }

  /** A notifier is in use; its counters begin. */
  opened(notifier: string): void {
    for (const result of ['sent', 'failed']) this.#metrics.notifications.inc({ notifier, result }, 0);
  }

  sent(notifier: string, notice: Notice): void {
    this.#metrics.notifications.inc({ notifier, result: 'sent' });
    this.#log.info(fieldsOf(notifier, notice), `${notifier} was told: ${whatOf(notice)}`);
  }

  retried(notifier: string, notice: Notice, fault: BackupError, attempt: number, delay_ms: number): void {
    this.#log.warn(
      { ...fieldsOf(notifier, notice), code: fault.code, attempt },
      `${notifier} could not be told: ${fault.message}; trying again in ${formatDuration(delay_ms)}`,
    );
  }

  /** Every attempt failed: this message is given up. */
  failed(notifier: string, notice: Notice, { code, hint, message }: BackupError): void {
    this.#metrics.notifications.inc({ notifier, result: 'failed' });
    this.#metrics.errors.inc({ step: 'notify' });
    this.#log.error(
      { ...fieldsOf(notifier, notice), code, hint },
      `${notifier} was not told: ${whatOf(notice)}: ${message}`,
    );
  }

  /** It is told when somebody tells the journal again: the next daemon, or the next command. */
  postponed(notifier: string, notice: Notice): void {
    this.#log.warn(
      fieldsOf(notifier, notice),
      `${notifier} is told later, as this was interrupted: ${whatOf(notice)}`,
    );
  }

  /** What keeps all from being told, for now. */
  hindered(fault: BackupError): void {
    this.#events.failed('notify', {}, fault);
  }
}

function fieldsOf(notifier: string, { kind, job, run }: Notice) {
  return { step: 'notify', notifier, event: kind, job, run };
}

function whatOf({ kind, job, outcome }: Notice): string {
  return `${job ?? ''} ${kind === 'failure' && outcome === undefined ? 'overdue' : kind}`.trim();
}
