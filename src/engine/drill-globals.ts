import type { DumpSurvey } from '../domain/dump-survey.ts';
import { toBackupError } from '../domain/errors.ts';
import type { Manifest } from '../domain/manifest.ts';
import { describeSome, plural } from '../domain/plural.ts';
import { majorOf } from '../domain/server-version.ts';
import { describeSectionDifference, differingSections } from '../domain/survey-comparison.ts';
import { rawBytes } from './archive-bytes.ts';
import type { EngineContext } from './context.ts';
import {
  type DrillFinding,
  type OnDrillProgress,
  isOfArchive,
  notAsRecorded,
  tellingStep,
} from './drill-finding.ts';
import { elapsedSince } from './elapsed.ts';
import { surveyDump, surveyVerified } from './survey-archive.ts';

const NO_NEEDS = { roles: [], superusers: [], extensions: [], tablespaces: [] };
/** Statements about the superuser of a throwaway cluster, which is there before anything is restored. */
const CLUSTER_SUPERUSER = /^(?:CREATE|ALTER) ROLE postgres$/;

/**
 * Proves the archive of a server's roles and tablespaces: they are made in a throwaway cluster, dumped again, and
 * the two dumps are compared statement by statement.
 */
export async function drillGlobals(
  context: EngineContext,
  manifest: Manifest,
  signal: AbortSignal,
  onProgress: OnDrillProgress,
): Promise<DrillFinding> {
  const { raw_size, size, server_version, source } = manifest;
  const startedAt = context.clock.now();
  const versions: Record<string, string> = { cofre: context.version };

  const verified = await surveyVerified(context, manifest, signal, tellingStep(onProgress, 'verify', size));
  if (!verified.ok) return { verdict: 'failed', detail: notAsRecorded(verified.detail), versions };
  onProgress({ step: 'prepare', bytes: 0 });
  // Roles belong to a whole server: never to one that somebody uses.
  const wish = { major: majorOf(server_version), needs: NO_NEEDS, raw_size };
  const restoring = await context.openRestoreAdapters();
  await using scratch = await restoring.openScratchCluster(wish, signal);
  versions.server = scratch.server_version;
  try {
    const raw = rawBytes(context, manifest, signal, tellingStep(onProgress, 'restore', raw_size));
    await restoring.openDatabase(scratch, { scratch: true }).applyGlobals(raw, signal);
  } catch (error) {
    const fault = toBackupError(error);
    if (!isOfArchive(fault) || scratch.lastWords?.() !== undefined) throw fault;
    return { verdict: 'failed', detail: fault.message, versions };
  }
  const recovery_ms = elapsedSince(context.clock, startedAt);
  onProgress({ step: 'compare', bytes: 0 });
  const capture = await restoring.openGlobals(scratch).capture(signal);
  const restored = await surveyDump(
    context,
    capture.stream,
    { format: 'plain', source },
    () => false,
    signal,
  );
  return { ...judge(verified.survey, restored), versions, recovery_ms };
}

function judge(archive: DumpSurvey, restored: DumpSurvey): Omit<DrillFinding, 'versions'> {
  const isCompared = (key: string) => !CLUSTER_SUPERUSER.test(key);
  // Only tablespaces are rewritten: they are elsewhere. What is said of a role comes back as it was, byte by byte.
  const differing = differingSections(archive.sections, restored.sections, isCompared).filter(
    ({ how }) => how !== 'rewritten',
  );
  if (differing.length > 0) {
    return { verdict: 'failed', detail: describeSome(differing.map(describeSectionDifference)) };
  }
  const compared = [...archive.sections.keys()].filter(isCompared);
  return {
    verdict: 'proven',
    detail: `${plural(compared.length, 'statement')} about roles and tablespaces, equal after restore and dump`,
  };
}
