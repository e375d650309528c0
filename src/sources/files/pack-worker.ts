/** The packing thread: reads and packs synchronously, and stops while no slot of the ring is free. */
import { parentPort, workerData } from 'node:worker_threads';
import { toBackupError } from '../../domain/errors.ts';
import { packTree } from './pack.ts';
import type { PackMessage, PackTask } from './pack-messages.ts';
import { RemarkCollector } from './remarks.ts';
import { RingWriter } from './shared-ring.ts';

const { options, ring } = workerData as PackTask;
const remarks = new RemarkCollector();
const writer = new RingWriter(ring);
try {
  for (const chunk of packTree(options, remarks, () => writer.nextSlot())) {
    post({ kind: 'chunk', bytes: chunk.length });
  }
  post({ kind: 'end', remarks: remarks.collected() });
} catch (error) {
  post({ kind: 'failed', error: toBackupError(error, 'packing').toJSON() });
}

function post(message: PackMessage): void {
  parentPort?.postMessage(message, []);
}
