import { BackupError } from '../domain/errors.ts';

export interface DeliveryErrorOptions {
  hint: string;
  /** Trying again would be refused again. */
  isFinal?: boolean;
  /** Some of those that it was for took it. */
  isPartial?: boolean;
  /** The receiver asks not to be tried again before. */
  retryAfter_ms?: number;
  cause?: unknown;
}

/** A receiver did not take a message. Neither message nor hint holds a secret or more of a URL than its host. */
export class DeliveryError extends BackupError {
  readonly isFinal: boolean;
  readonly isPartial: boolean;
  readonly retryAfter_ms: number;

  constructor(message: string, options: DeliveryErrorOptions) {
    const { hint, isFinal = false, isPartial = false, retryAfter_ms = 0, cause } = options;
    super('NOTIFY_FAILED', message, { hint, cause });
    this.isFinal = isFinal;
    this.isPartial = isPartial;
    this.retryAfter_ms = retryAfter_ms;
  }
}
