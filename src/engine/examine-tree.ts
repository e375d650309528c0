import type { Manifest } from '../domain/manifest.ts';
import type { Inspectable } from '../domain/ports.ts';
import type { TreeExaminer, TreePlan } from '../domain/restore-ports.ts';
import { storedBytes, summed } from './archive-bytes.ts';
import type { EngineContext } from './context.ts';
import { verifyBytes } from './verify.ts';

/** What extracting would do; of an archive that does not verify, why it does not. */
type Examination = { ok: true; plan: TreePlan } | { ok: false; detail: string };

/**
 * Verifies an archive of files and looks at each of its entries in the same pass.
 * @param onBytes is told how many stored bytes were read so far.
 */
export async function examineTree(
  context: EngineContext,
  manifest: Manifest,
  examiner: TreeExaminer,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<Examination> {
  const stored = summed(storedBytes(context, manifest, signal), onBytes);
  const open = async (archive: Inspectable, stop: AbortSignal) => {
    const inspector = await context.openInspector(archive, stop);
    return {
      write: async (chunk: Buffer) => {
        await inspector.write(chunk);
        examiner.write(chunk);
      },
      end: () => inspector.end(),
      [Symbol.asyncDispose]: () => inspector[Symbol.asyncDispose](),
    };
  };
  const { ok, detail } = await verifyBytes(context, stored, manifest, 'contents', signal, open);
  return ok ? { ok, plan: examiner.end() } : { ok, detail };
}
