import type { App } from '../compose.ts';
import { toBackupError } from '../domain/errors.ts';
import { NEVER } from '../lib/abort.ts';

/**
 * Brings the published index up to date after a command has done its work. It can always be rebuilt: what
 * keeps it from being written is logged, and turns nothing that was done into a failure.
 */
export async function publishIndex({ index, events }: App): Promise<void> {
  try {
    await index.publish(NEVER);
  } catch (error) {
    events.failed('index', {}, toBackupError(error, 'publishing the index'));
  }
}
