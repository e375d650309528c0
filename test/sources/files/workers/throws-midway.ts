/** A packing thread that fails after its first chunk. */
import { parentPort } from 'node:worker_threads';

parentPort?.postMessage({ kind: 'chunk', bytes: 512 }, []);
throw new Error('a fault of its own');
