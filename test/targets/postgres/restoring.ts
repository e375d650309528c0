import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BackupError } from '../../../src/domain/errors.ts';
import type { DatabaseRestoreOptions, ScratchDirectory } from '../../../src/domain/restore-ports.ts';
import { PostgresTarget, type PostgresTargetOptions } from '../../../src/targets/postgres/postgres-target.ts';
import type { Cluster } from '../../../tools/cluster.ts';

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
  dumpSchemas: { made: [], used: [] },
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
