import { BackupError, toBackupError } from '../domain/errors.ts';
import type { Manifest } from '../domain/manifest.ts';
import type { DatabaseTargetState } from '../domain/restore-ports.ts';
import { refuseUnfitDatabase } from '../domain/target-refusals.ts';
import type { DatabaseOrigin, DatabaseRestoreFlags } from './restore-request.ts';

/** Throws TARGET_REFUSED for a database that the archive is not to be restored into as asked. */
export function refuseUnfit(
  manifest: Manifest,
  state: DatabaseTargetState,
  flags: DatabaseRestoreFlags,
): void {
  if (state.exists && !flags.forceSource) {
    refuseSource(manifest, state);
    for (const origin of flags.spared ?? []) refuseSpared(origin, state);
  }
  refuseUnfitDatabase(state, flags);
}

/** The database that an archive came from is known by its cluster and name, whatever leads to it. */
function refuseSource(manifest: Manifest, state: DatabaseTargetState): void {
  // A manifest made anew from its archive may not say which database it was: one that holds something may be it.
  const isUnnamed = manifest.database === undefined && state.occupants.length > 0;
  if (manifest.database !== state.database && !isUnnamed) return;
  if (isOnAnotherServer(manifest, state)) return;
  const known = manifest.system_identifier !== undefined && state.system_identifier !== undefined;
  const why = isUnnamed
    ? 'the manifest does not say which one that was'
    : 'it has the same name, and nothing says that it is on another server';
  const what =
    known && !isUnnamed
      ? `${state.description} is the database that ${manifest.filename} was taken from`
      : `${state.description} may be the database that ${manifest.filename} was taken from: ${why}`;
  throw new BackupError('TARGET_REFUSED', what, {
    path: state.description,
    hint: 'Restore into another database and look at it first; `--force-source` restores into this one all the same.',
  });
}

function refuseSpared(origin: DatabaseOrigin, state: DatabaseTargetState): void {
  if (origin.database !== state.database || isOnAnotherServer(origin, state)) return;
  const message = `${state.description} is, or may be, the database that the source ${origin.source} backs up`;
  throw new BackupError('TARGET_REFUSED', message, {
    path: state.description,
    hint: 'Restore into another database.',
  });
}

/** False also where it is not known. */
function isOnAnotherServer(origin: DatabaseOrigin, { system_identifier }: DatabaseTargetState): boolean {
  if (origin.system_identifier === undefined || system_identifier === undefined) return false;
  return origin.system_identifier !== system_identifier;
}

/** For an archive that is not what its manifest records, told before anything is touched. */
export function notVerified(filename: string, detail: string): BackupError {
  return new BackupError('ARCHIVE_CORRUPT', `${filename} does not verify: ${detail}`, {
    path: filename,
    hint: 'Nothing was touched. Restore another archive: `cofre list` shows them, `cofre verify` tells which are whole.',
  });
}

/** Does what touches nothing; when it is stopped by the signal, the error says that nothing was. */
export async function beforeTouching<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!signal.aborted) throw error;
    const { code, message } = toBackupError(signal.reason);
    throw new BackupError(code, `${message}; nothing was touched`, { cause: error });
  }
}
