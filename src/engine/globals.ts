import { GLOBALS_SUFFIX, isGlobalsSource } from '../domain/archive-name.ts';
import { BackupError } from '../domain/errors.ts';
import type { Manifest } from '../domain/manifest.ts';
import type { EngineContext } from './context.ts';

/**
 * The archive of roles and tablespaces to restore before another: the named one, else that of the same run, else
 * the newest from before it, else the oldest there is. Throws ARCHIVE_UNKNOWN when there is none, USAGE when the named
 * one is another kind of archive.
 */
export async function globalsFor(
  context: EngineContext,
  { source, run, created_at, filename }: Manifest,
  wanted: string | true,
): Promise<Manifest> {
  if (wanted !== true) {
    const named = await context.catalogue.read(wanted);
    if (isGlobalsSource(named.source)) return named;
    throw new BackupError(
      'USAGE',
      `--globals names ${wanted}, which is no archive of roles and tablespaces`,
      {
        hint: 'Such archives have `_globals` in their name: `cofre list` shows them. Without a name the one that belongs to the archive is taken.',
      },
    );
  }
  const series = context.catalogue
    .series(source + GLOBALS_SUFFIX)
    .filter(({ verification }) => verification.ok);
  const chosen =
    series.find((manifest) => manifest.run === run) ??
    series.findLast((manifest) => manifest.created_at <= created_at) ??
    series[0];
  if (chosen !== undefined) return await context.catalogue.read(chosen.filename);
  throw new BackupError('ARCHIVE_UNKNOWN', `there is no archive of the roles that belong to ${filename}`, {
    path: filename,
    hint: 'Sources with `"globals": true` have one. Name one of another source of that server (`--globals FILENAME`), make the roles by hand, or leave owners out with `--no-owner`.',
  });
}
