import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { ByteStream } from '../../src/domain/ports.ts';
import type { Cluster } from '../../tools/cluster.ts';

const run = promisify(execFile);
const OUTPUT_MAX_BYTES = 1 << 28;
const CHUNK_BYTES = 10_000;

/** What pg_dump writes of a database. */
export async function dumpOf(cluster: Cluster, database: string, ...args: string[]): Promise<Buffer> {
  const all = ['--no-password', ...args, '-d', cluster.urlOf(database)];
  const options = { maxBuffer: OUTPUT_MAX_BYTES, encoding: 'buffer' } as const;
  const { stdout } = await run(join(cluster.binDir, 'pg_dump'), all, options);
  return stdout;
}

/** The same without what differs between two dumps of the same data. */
export async function textOf(cluster: Cluster, database: string, ...args: string[]): Promise<string> {
  const text = (await dumpOf(cluster, database, ...args)).toString('latin1');
  return text.replaceAll(/^\\(?:un)?restrict [A-Za-z0-9]{60,}$/gm, '');
}

/** The same bytes in chunks, as an archive comes. */
export async function* streamOf(...parts: (Buffer | string)[]): ByteStream {
  for (const part of parts) {
    const bytes = Buffer.from(part as string);
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
  }
}
