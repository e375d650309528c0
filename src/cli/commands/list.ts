import { openAnomaly } from '../../domain/anomaly.ts';
import { formatDuration } from '../../domain/duration.ts';
import { BackupError } from '../../domain/errors.ts';
import { ARCHIVE_TYPES, type ManifestSummary } from '../../domain/manifest.ts';
import type { Answer } from '../answer.ts';
import type { Session } from '../session.ts';
import { formatTable } from '../table.ts';

export interface ListFlags {
  type?: string;
  source?: string;
}

/** `cofre list`: every backup, oldest first. */
export async function list(session: Session, { type, source }: ListFlags): Promise<Answer> {
  if (type !== undefined && !ARCHIVE_TYPES.some((known) => known === type)) {
    throw new BackupError('USAGE', `--type is ${JSON.stringify(type)}`, {
      hint: `Allowed are ${ARCHIVE_TYPES.join(' and ')}.`,
    });
  }
  const catalogue = await session.openCatalogue();
  const backups = catalogue
    .list()
    .filter((manifest) => type === undefined || manifest.type === type)
    .filter((manifest) => source === undefined || manifest.source === source);
  const faults = catalogue.faults();
  for (const { message } of faults) process.stderr.write(`warning: ${message}\n`);
  return {
    status: 0,
    json: { backups, count: backups.length },
    text: backups.length === 0 ? 'there is no backup yet' : describe(backups, new Date()),
  };
}

function describe(backups: readonly ManifestSummary[], now: Date): string {
  const rows = backups.map((manifest) => [
    manifest.filename,
    manifest.size_human,
    formatDuration(Math.max(0, now.getTime() - Date.parse(manifest.created_at))),
    marks(manifest).join(', '),
  ]);
  return formatTable(['FILENAME', 'SIZE', 'AGE', 'STATE'], rows, ['SIZE', 'AGE']);
}

function marks(manifest: ManifestSummary): string[] {
  const { verification, pinned, incomplete } = manifest;
  return [
    verification.ok ? 'verified' : 'DOES NOT VERIFY',
    ...(incomplete ? ['incomplete'] : []),
    ...(openAnomaly(manifest) === undefined ? [] : ['anomaly']),
    ...(pinned ? ['pinned'] : []),
  ];
}
