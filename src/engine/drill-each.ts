import { toBackupError } from '../domain/errors.ts';
import type { RunError } from '../domain/journal-entry.ts';
import type { Manifest } from '../domain/manifest.ts';
import type { EngineContext } from './context.ts';
import { drillArchive, drillError, type DrillResult } from './drill.ts';
import type { DrillProgress } from './drill-finding.ts';
import type { RunRequest } from './run-request.ts';

/**
 * Proves what a run has just written, and puts the manifests with their proof in the place of those without. An
 * archive that does not restore fails the run; it stays, as evidence. What this machine cannot prove is said by
 * manifest, log and metric, and is no fault of the run; nor is a shutdown, which comes after the work was done.
 * @param errors is added to.
 */
export async function drillEach(
  context: EngineContext,
  { run, actor, onProgress }: RunRequest,
  archives: Manifest[],
  errors: RunError[],
  signal: AbortSignal,
  shutdown: AbortSignal,
): Promise<DrillResult[]> {
  const results: DrillResult[] = [];
  for (const [index, { filename, source, job }] of archives.entries()) {
    if (shutdown.aborted) break;
    const progress = ({ bytes, total_bytes }: DrillProgress) =>
      onProgress?.({ source, step: 'drill', bytes, ...(total_bytes === undefined ? {} : { total_bytes }) });
    try {
      const result = await drillArchive(context, filename, { job, run, actor }, signal, progress);
      results.push(result);
      if (result.verdict === 'failed') errors.push(drillError(result, source));
      archives[index] = await context.catalogue.read(filename);
    } catch (error) {
      if (shutdown.aborted) break;
      errors.push({ ...toBackupError(error).toJSON(), source });
    }
  }
  return results;
}
