import { GLOBALS_SUFFIX } from '../domain/archive-name.ts';
import { BackupError } from '../domain/errors.ts';
import type { Manifest } from '../domain/manifest.ts';
import type { EngineContext } from './context.ts';

/**
 * The archive of roles and tablespaces to restore before another: the named one, else that of the same run, else
 * the newest from before it, else the oldest there is. Throws ARCHIVE_UNKNOWN when there is none.
 */
export async function globalsFor(
  context: EngineContext,
  { source, run, created_at, filename }: Manifest,
  wanted: string | true,
): Promise<Manifest> {
  if (wanted !== true) return await context.catalogue.read(wanted);
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
    hint: 'Sources with `"globals": true` have one. Make the roles by hand, or leave owners out with `--no-owner`.',
  });
}
