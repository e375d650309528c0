/**
 * Preloaded into the program (`node --import`), and with it into its threads. When some megabytes have passed, the
 * thread that packs files ends without a word, and a socket that reads what a program writes fails.
 */
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { breakSockets } from './breaking-sockets.ts';

const AFTER_BYTES = 4 * 1024 * 1024;

if (isMainThread) {
  breakSockets(AFTER_BYTES);
} else {
  const { readSync } = fs;
  let read_bytes = 0;
  fs.readSync = ((...args: Parameters<typeof readSync>) => {
    const bytes = readSync(...args);
    read_bytes += bytes;
    // In a thread this ends the thread.
    if (read_bytes > AFTER_BYTES) process.exit(1);
    return bytes;
  }) as typeof readSync;
  syncBuiltinESMExports();
}
