import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BackupError } from '../../../src/domain/errors.ts';
import type { ByteStream } from '../../../src/domain/ports.ts';
import type { DatabaseRestoreOptions, ScratchDirectory } from '../../../src/domain/restore-ports.ts';
import { PostgresTarget, type PostgresTargetOptions } from '../../../src/targets/postgres/postgres-target.ts';
import type { Cluster } from '../../../tools/cluster.ts';

const run = promisify(execFile);
const OUTPUT_MAX_BYTES = 1 << 28;
const CHUNK_BYTES = 10_000;
export const SIGNAL = new AbortController().signal;

export const PLAIN: DatabaseRestoreOptions = {
  format: 'plain',
  raw_size: 0,
  toolMajor: 0,
  create: false,
  clean: false,
  jobs: 2,
  singleTransaction: true,
  owners: true,
  schemas: [],
  tables: [],
};
export const CUSTOM: DatabaseRestoreOptions = { ...PLAIN, format: 'custom' };

/** A target whose temporary directory is removed behind it. */
export function targetOf(url: string, more: Partial<PostgresTargetOptions> = {}): PostgresTarget {
  return new PostgresTarget({ url, spoolDirectory: temporarySpool, ...more });
}

export async function temporarySpool(): Promise<ScratchDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'cofre-spool-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

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

export async function* streamOf(...parts: (Buffer | string)[]): ByteStream {
  for (const part of parts) {
    const bytes = Buffer.from(part as string);
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) yield bytes.subarray(at, at + CHUNK_BYTES);
  }
}

/** A plain dump of these statements, as far as a reader can tell. */
export function script(...lines: string[]): string {
  return [
    '--',
    '-- PostgreSQL database dump',
    '--',
    ...lines,
    '--',
    '-- PostgreSQL database dump complete',
    '--',
    '',
  ].join('\n');
}

/** What a promise rejects with. */
export async function failureOf(work: Promise<unknown>): Promise<BackupError> {
  const error = await work.then(
    () => new Error('it did not fail'),
    (thrown: unknown) => thrown,
  );
  if (error instanceof BackupError) return error;
  throw error;
}

export async function databasesOf(cluster: Cluster): Promise<string[]> {
  const listed = await cluster.psql('postgres', 'SELECT datname FROM pg_database ORDER BY 1');
  return listed.split('\n');
}
