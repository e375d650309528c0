import { type AnomalyThresholds, baselinesIn, findAnomaly, kindsOf, openAnomaly } from '../domain/anomaly.ts';
import { toBackupError } from '../domain/errors.ts';
import type { AnomalyRecord } from '../domain/journal-entry.ts';
import type { Manifest } from '../domain/manifest.ts';
import type { EngineContext } from './context.ts';
import type { Scope } from './events.ts';

/** Of the archives to compare with, how many are tried before an archive goes without a comparison. */
const BASELINES_TRIED = 3;

/**
 * The manifest of a new archive with the anomaly of its contents, where it has one. Never throws: the archive
 * is good by itself, and a baseline that cannot be read is logged and turns no backup into a failure.
 *
 * @param thresholds undefined: nothing is compared.
 */
export async function withAnomaly(
  context: EngineContext,
  manifest: Manifest,
  thresholds: AnomalyThresholds | undefined,
  scope: Scope,
): Promise<Manifest> {
  if (thresholds === undefined) return manifest;
  try {
    const baseline = await readBaseline(context, manifest, scope);
    const anomaly = baseline && findAnomaly(manifest, baseline, thresholds);
    return anomaly === undefined ? manifest : { ...manifest, anomaly };
  } catch (error) {
    context.events.notCompared(scope, manifest.filename, toBackupError(error));
    return manifest;
  }
}

/** Tells of the anomaly of an archive that has become a backup. */
export function reportAnomaly(context: EngineContext, manifest: Manifest, scope: Scope): void {
  const anomaly = openAnomaly(manifest);
  if (anomaly !== undefined) context.events.anomalyFound(scope, manifest.filename, anomaly);
}

/** For the journal; nothing for an archive without an anomaly. */
export function anomalyRecord({ filename, anomaly }: Manifest): AnomalyRecord[] {
  return anomaly === undefined ? [] : [{ filename, kinds: kindsOf(anomaly) }];
}

async function readBaseline(
  { catalogue, clock, events }: EngineContext,
  { source, type, filename }: Manifest,
  scope: Scope,
): Promise<Manifest | undefined> {
  const candidates = baselinesIn(catalogue.series(source), type, clock.now());
  for (const candidate of candidates.slice(0, BASELINES_TRIED)) {
    try {
      return await catalogue.read(candidate.filename);
    } catch (error) {
      // Pruned or damaged since it was listed. The one before it is a baseline too.
      events.notCompared(scope, filename, toBackupError(error));
    }
  }
  return undefined;
}
