import type { Finding } from '../../domain/ports.ts';
import { BackupError, toBackupError } from '../../domain/errors.ts';
import { formatSize } from '../../domain/size.ts';
import { spaceAt } from '../../lib/mounts.ts';
import type { Session } from '../../postgres/session.ts';
import { DUMPED, selectionParameters } from './dumped-relations.ts';
import type { Selection } from './selection.ts';

/** A table whose lock is not free within this long is not worth waiting for: the size of the database stands in. */
const LOCK_TIMEOUT_MS = 1_000;
const LOCK_NOT_AVAILABLE = '55P03';
const HINT = 'Free space there, or name a directory on a larger disk as scratch.directory.';

/**
 * Whether a dump has room in the directory where it is staged: about as much as its tables take on the server, without
 * their indexes. Text may take more than a compressed column, and less than the row around it.
 * @param session within a transaction that has an empty search path.
 */
export async function findSpace(
  session: Session,
  selection: Selection,
  source: string,
  directory: string,
): Promise<Finding> {
  const space = await spaceAt(directory).catch((error: unknown) => toBackupError(error));
  if (space instanceof BackupError) {
    const message = `the dump has no place to be staged: ${space.message}`;
    return { severity: 'error', code: space.code, path: directory, message, hint: HINT };
  }
  const { free_bytes } = space;
  const needed_bytes = await dumpSize(session, selection);
  const takes = `the dump takes about ${formatSize(needed_bytes)} until it is archived`;
  const message = `${formatSize(free_bytes)} are free in ${directory}, where ${takes}`;
  return free_bytes >= needed_bytes
    ? { severity: 'info', code: 'OK', path: source, message, hint: '' }
    : { severity: 'error', code: 'SPACE_LOW', path: directory, message: `only ${message}`, hint: HINT };
}

async function dumpSize(session: Session, selection: Selection): Promise<number> {
  const isWhole = selection.includeSchemas === undefined && selection.includeTables === undefined;
  const sizes = `${DUMPED}
SELECT (coalesce(sum(pg_table_size(oid)), 0) + ${isWhole ? "pg_table_size('pg_largeobject')" : '0'})::text AS bytes
  FROM dumped WHERE relkind = 'r'`;
  await session.query('SAVEPOINT sizes');
  await session.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
  try {
    return bytesOf(await session.query<{ bytes: string }>(sizes, selectionParameters(selection)));
  } catch (error) {
    if ((error as { code?: string }).code !== LOCK_NOT_AVAILABLE) throw error;
    await session.query('ROLLBACK TO SAVEPOINT sizes');
    return bytesOf(
      await session.query<{ bytes: string }>('SELECT pg_database_size(current_database())::text AS bytes'),
    );
  } finally {
    await session.query('SET LOCAL lock_timeout = 0').catch(() => undefined);
  }
}

function bytesOf([row]: { bytes: string }[]): number {
  return Number(row?.bytes ?? 0);
}
