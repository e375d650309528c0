import { BackupError, toBackupError } from '../../domain/errors.ts';
import { VERIFY_LEVELS, type VerifyLevel } from '../../domain/manifest.ts';
import type { EngineContext } from '../../engine/context.ts';
import { type InventoryFault, takeInventory } from '../../engine/inventory.ts';
import { verifyArchive, type VerifyResult } from '../../engine/verify.ts';
import type { Answer } from '../answer.ts';
import { openProgress } from '../progress.ts';
import { publishIndex } from '../publish-index.ts';
import type { Session } from '../session.ts';

export interface VerifyFlags {
  all?: boolean;
  level?: string;
}

/** `cofre verify`: reads archives again and compares them with what was recorded while they were written. */
export async function verify(
  session: Session,
  filenames: readonly string[],
  flags: VerifyFlags,
): Promise<Answer> {
  const level = parseLevel(flags.level);
  if ((flags.all === true) === filenames.length > 0) {
    throw new BackupError('USAGE', 'verify takes either filenames or --all', {
      hint: '`cofre list` shows the filenames of all backups.',
    });
  }
  // What is found is recorded where it can be; where it cannot, the verdict counts all the same.
  const app = await session.open({ write: false });
  const { context } = app;
  const inventory = flags.all === true ? await takeInventory(context) : [];
  const chosen = flags.all === true ? context.catalogue.list().map(({ filename }) => filename) : filenames;
  for (const filename of filenames) await assertListed(context, filename);
  const results: VerifyResult[] = [];
  {
    using progress = openProgress(!session.json);
    for (const filename of chosen) {
      progress.begin(filename, context.catalogue.find(filename)?.size);
      results.push(
        await verifyOne(app.context, filename, level, session, (bytes) => progress.advance(bytes)),
      );
    }
  }
  // What is missing has a manifest, and so a result of its own already.
  const further = inventory.filter(({ kind }) => kind !== 'missing');
  results.push(...further.map((fault) => inventoryResult(fault, level)));
  await publishIndex(app);
  const valid = results.every((result) => result.valid);
  return { status: valid ? 0 : 1, json: { results }, text: describe(results) };
}

/** A name mistyped is an error of the call, told before hours are spent on the others. */
async function assertListed(context: EngineContext, filename: string): Promise<void> {
  try {
    await context.catalogue.read(filename);
  } catch (error) {
    if (error instanceof BackupError && error.code === 'ARCHIVE_UNKNOWN') throw error;
  }
}

async function verifyOne(
  context: EngineContext,
  filename: string,
  level: VerifyLevel,
  session: Session,
  onBytes: (bytes: number) => void,
): Promise<VerifyResult> {
  try {
    const scope = { job: '@verify', run: '', actor: session.actor };
    return await verifyArchive(context, filename, level, scope, session.signal, onBytes);
  } catch (error) {
    session.signal.throwIfAborted();
    // No verdict on the archive: its manifest stays as it is, and the next one is looked at all the same.
    return { filename, valid: false, level, detail: `not verified: ${toBackupError(error).message}` };
  }
}

function inventoryResult({ filename, detail }: InventoryFault, level: VerifyLevel): VerifyResult {
  return { filename, valid: false, level, detail };
}

function parseLevel(level = 'contents'): VerifyLevel {
  const known = VERIFY_LEVELS.find((candidate) => candidate === level);
  if (known !== undefined) return known;
  throw new BackupError('USAGE', `--level is ${JSON.stringify(level)}`, {
    hint: `Allowed are ${VERIFY_LEVELS.join(' and ')}.`,
  });
}

function describe(results: readonly VerifyResult[]): string {
  if (results.length === 0) return 'there is no backup to verify';
  const faulty = results.filter(({ valid }) => !valid).length;
  const lines = results.map(
    ({ filename, valid, detail }) => `${valid ? 'ok   ' : 'FAULT'}  ${filename}  ${detail}`,
  );
  return [
    ...lines,
    faulty === 0 ? `${results.length} verified` : `${faulty} of ${results.length} faulty`,
  ].join('\n');
}
