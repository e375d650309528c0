import type { DumpSurvey } from '../domain/dump-survey.ts';
import { BackupError } from '../domain/errors.ts';
import type { Manifest, TableContents } from '../domain/manifest.ts';
import type { ByteStream, DumpSurveyor, Inspectable } from '../domain/ports.ts';
import { inspected, rawBytes, storedBytes, summed } from './archive-bytes.ts';
import type { EngineContext } from './context.ts';
import { verifyBytes } from './verify.ts';

/** An archive that was held against its manifest. */
export type VerifiedSurvey = { ok: true; detail: string; survey: DumpSurvey } | { ok: false; detail: string };

type TableFilter = (table: Pick<TableContents, 'schema' | 'name'>) => boolean;

const NO_ROWS: TableFilter = () => false;

/**
 * Verifies the archive of a database, and in the same pass finds what a restore needs and a drill compares.
 * @param onBytes is told of the stored bytes so far.
 */
export async function surveyVerified(
  context: EngineContext,
  manifest: Manifest,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<VerifiedSurvey> {
  let surveyor: DumpSurveyor | undefined;
  const open = async (archive: Inspectable, stop: AbortSignal) => {
    const opened = await context.openSurveyor(archive, NO_ROWS, stop);
    surveyor = opened;
    return opened;
  };
  const stored = summed(storedBytes(context, manifest, signal), onBytes);
  const { ok, detail } = await verifyBytes(context, stored, manifest, 'contents', signal, open);
  if (!ok) return { ok, detail };
  if (surveyor === undefined) throw new BackupError('INTERNAL', `${manifest.filename} was not surveyed`);
  return { ok, detail, survey: surveyor.survey() };
}

/** Reads an archive again for the rows of some of its tables. */
export async function surveyRows(
  context: EngineContext,
  manifest: Manifest,
  ofRows: TableFilter,
  signal: AbortSignal,
): Promise<DumpSurvey> {
  return await surveyDump(context, rawBytes(context, manifest, signal), manifest, ofRows, signal);
}

/** What a dump holds, from its raw bytes. */
export async function surveyDump(
  context: EngineContext,
  raw: ByteStream,
  archive: Inspectable,
  ofRows: TableFilter,
  signal: AbortSignal,
): Promise<DumpSurvey> {
  await using surveyor = await context.openSurveyor(archive, ofRows, signal);
  for await (const chunk of inspected(raw, surveyor, () => undefined)) void chunk;
  await surveyor.end();
  return surveyor.survey();
}
