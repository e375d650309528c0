import { acknowledgedWith, heldBaselines, openAnomaly } from '../domain/anomaly.ts';
import { BackupError } from '../domain/errors.ts';
import type { Anomaly, Manifest } from '../domain/manifest.ts';
import type { EngineContext } from './context.ts';

export interface Acknowledgement {
  /** Filenames, oldest first; empty when all of it was acknowledged already. */
  acknowledged: string[];
  /** Of the archive that was asked for, as it was before. */
  anomaly: Anomaly;
  /** The newer archive whose anomaly still holds the baseline. */
  heldFor: string | undefined;
}

/**
 * Records that the change of an archive's contents is meant, and with it that of the archives before it which
 * were compared with the same one: retention then lets that one go, and the next archive is compared with this.
 * Throws ARCHIVE_UNKNOWN, and USAGE for an archive without an anomaly.
 */
export async function acknowledge(
  { catalogue, clock, events }: EngineContext,
  filename: string,
  actor: string,
  signal: AbortSignal,
): Promise<Acknowledgement> {
  const { source, anomaly } = await catalogue.read(filename);
  if (anomaly === undefined) {
    throw new BackupError('USAGE', `${filename} has no anomaly to acknowledge`, {
      path: filename,
      hint: '`cofre list` marks the archives that have one.',
    });
  }
  const acknowledged: string[] = [];
  // Oldest first: when it is cut short, the one that was asked for is still open, and asking again does the rest.
  for (const name of acknowledgedWith(catalogue.series(source), filename)) {
    const at = clock.now().toISOString();
    let isOpen = false;
    const change = (manifest: Manifest): Manifest => {
      const open = openAnomaly(manifest);
      isOpen = open !== undefined;
      return open === undefined
        ? manifest
        : { ...manifest, anomaly: { ...open, acknowledged: { at, actor } } };
    };
    try {
      await catalogue.update(name, change, signal);
    } catch (error) {
      // Pruned meanwhile.
      const isGone = error instanceof BackupError && error.code === 'ARCHIVE_UNKNOWN';
      if (!isGone || name === filename) throw error;
    }
    if (!isOpen) continue;
    acknowledged.push(name);
    events.anomalyAcknowledged(name, source, actor);
  }
  const heldFor = heldBaselines(catalogue.series(source)).get(anomaly.baseline);
  return { acknowledged, anomaly, heldFor };
}
