import { BackupError } from '../domain/errors.ts';

export interface DeliveryErrorOptions {
  hint: string;
  /** Trying again would be refused again. */
  isFinal?: boolean;
  cause?: unknown;
}

/** A receiver did not take a message. Neither message nor hint holds a secret or more of a URL than its host. */
export class DeliveryError extends BackupError {
  readonly isFinal: boolean;

  constructor(message: string, { hint, isFinal = false, cause }: DeliveryErrorOptions) {
    super('NOTIFY_FAILED', message, { hint, cause });
    this.isFinal = isFinal;
  }
}
