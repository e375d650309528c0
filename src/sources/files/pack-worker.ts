/** The packing thread: reads and packs synchronously, and stops while enough chunks are under way. */
import { parentPort, workerData } from 'node:worker_threads';
import { toBackupError } from '../../domain/errors.ts';
import { packTree } from './pack.ts';
import type { PackMessage, PackTask } from './pack-messages.ts';
import { RemarkCollector } from './remarks.ts';

/** Of 1 MiB each: enough that neither side waits for the other at every file. */
const MAX_IN_FLIGHT = 16;

const { options, inFlight } = workerData as PackTask;
const remarks = new RemarkCollector();
try {
  for (const chunk of packTree(options, remarks)) {
    const view = chunk as Uint8Array<ArrayBuffer>;
    post({ kind: 'chunk', chunk: view }, [view.buffer]);
    waitForRoom(Atomics.add(inFlight, 0, 1) + 1);
  }
  post({ kind: 'end', remarks: remarks.collected() });
} catch (error) {
  post({ kind: 'failed', error: toBackupError(error, 'packing').toJSON() });
}

function post(message: PackMessage, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

function waitForRoom(underWay: number): void {
  for (let count = underWay; count >= MAX_IN_FLIGHT; count = Atomics.load(inFlight, 0)) {
    Atomics.wait(inFlight, 0, count);
  }
}
