import { on } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { BackupError } from '../../domain/errors.ts';
import type { ByteStream, CaptureRemarks } from '../../domain/ports.ts';
import type { PackOptions } from './pack.ts';
import type { PackMessage, PackTask } from './pack-messages.ts';
import { makeRing, RingReader } from './shared-ring.ts';

/** Beside this file, and like it .ts in the checkout and .js in the published package. */
const PACK_WORKER = new URL(`./pack-worker${extname(import.meta.url)}`, import.meta.url);

/** As large as what the codecs take at once. */
const CHUNK_BYTES = 256 * 1024;
/** Enough that neither thread waits for the other at every file. */
const SLOTS = 16;

export interface WorkerStreamOptions {
  pack: PackOptions;
  signal: AbortSignal;
  /** Called once, before the stream ends. */
  onRemarks: (remarks: CaptureRemarks) => void;
  /** The module that the thread runs. */
  worker?: URL;
}

/**
 * Packs in a thread of its own, which starts with the first read and is at most 16 chunks ahead. A chunk is valid
 * until the next one is asked for. Aborting, leaving early and every error end the thread, and have ended it when the
 * iteration settles. Throws what packTree throws, and INTERNAL when the thread dies.
 */
export async function* packInWorker(options: WorkerStreamOptions): ByteStream & AsyncGenerator<Buffer> {
  const { signal } = options;
  signal.throwIfAborted();
  const ring = makeRing(SLOTS, CHUNK_BYTES);
  const chunks = new RingReader(ring);
  const worker = new Worker(options.worker ?? PACK_WORKER, {
    name: 'cofre-pack',
    workerData: { options: options.pack, ring } satisfies PackTask,
  });
  try {
    for await (const [message] of on(worker, 'message', { signal, close: ['exit'] }) as AsyncIterable<
      [PackMessage]
    >) {
      if (message.kind === 'failed') throw revive(message.error);
      if (message.kind === 'end') {
        options.onRemarks(message.remarks);
        return;
      }
      yield chunks.take(message.bytes);
      chunks.release();
    }
    throw new Error('it ended before the archive did');
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof BackupError) throw error;
    throw new BackupError('INTERNAL', `the packing thread died: ${(error as Error).message}`, {
      hint: 'Look for a lack of memory; otherwise this is a fault in cofre: please report it with the log.',
      cause: error,
    });
  } finally {
    await worker.terminate();
  }
}

/** An error that crossed the thread boundary as data. */
function revive({ code, message, hint, path }: PackFailure): BackupError {
  return new BackupError(code, message, {
    ...(hint === undefined ? {} : { hint }),
    ...(path === undefined ? {} : { path }),
  });
}

type PackFailure = Extract<PackMessage, { kind: 'failed' }>['error'];
