import { runJob } from '../../src/engine/run.ts';
import type { Job } from '../../src/domain/job.ts';
import type { Manifest } from '../../src/domain/manifest.ts';
import { dumpText, FakeSource, NO_ABORT, yields } from './fakes.ts';
import { testJob, type TestLocation, testRequest } from './test-location.ts';

export const HALF = { rowsDown: 0.5, sizeDown: 0.5 };
const HOUR_MS = 3_600_000;

/** A plain dump of one table with this many rows. */
export function dumpOf(rows: number): string {
  return dumpText(Array.from({ length: rows }, (_, at) => `${at}\tthe row ${at}`));
}

/** A backup of a dump, an hour after the last one; compared with its series unless the job says otherwise. */
export async function backUp(
  bed: TestLocation,
  dump: string,
  facts: Partial<Job> = { anomaly: HALF },
): Promise<Manifest> {
  bed.clock.advance(HOUR_MS);
  const job = testJob({ sources: [new FakeSource({ bytes: yields(dump) })], ...facts });
  const { archives, errors } = await runJob(bed.context, job, testRequest(bed.clock.now()), NO_ABORT);
  const [manifest] = archives;
  if (manifest === undefined) throw new Error(`no backup: ${JSON.stringify(errors)}`);
  return manifest;
}
