/** A packing thread that ends after its first chunk, as if it were killed. */
import { parentPort } from 'node:worker_threads';

parentPort?.postMessage({ kind: 'chunk', bytes: 512 }, []);
process.exit(0);
