import type { ByteStream } from '../../domain/ports.ts';
import type { ExtractOptions, TreePlan } from '../../domain/restore-ports.ts';
import { refuseUnsafe } from '../../domain/target-refusals.ts';
import { TarReader } from '../../formats/tar/tar-reader.ts';
import { EntryJudge } from './entry-judge.ts';
import { OwnerNumbers } from './owner-numbers.ts';
import type { Pace } from './pace.ts';
import type { RawPath } from './raw-path.ts';
import { type TreePlaces, TreeWriter } from './tree-writer.ts';

/** So much of an archive is worked on at once: some hundred small files. */
const SLICE_BYTES = 65_536;

export interface Extracted {
  plan: TreePlan;
  /** Directories made only because something below was chosen. */
  bystanders: ReadonlySet<RawPath>;
}

/**
 * Writes an archive into an empty directory, in one pass and constant memory but for 16 bytes an entry. Throws
 * ARCHIVE_UNSAFE, naming what is refused, once all of the archive was seen; nothing more is written after the
 * first such entry.
 */
export async function extractTree(
  raw: ByteStream,
  places: TreePlaces,
  options: ExtractOptions,
  pace: Pace,
  signal: AbortSignal,
): Promise<Extracted> {
  const judge = new EntryJudge(options);
  using writer = new TreeWriter(places, options.owners ? new OwnerNumbers() : undefined);
  const reader = new TarReader({
    entry: (entry) => {
      const judged = judge.judge(entry);
      if (judged !== undefined && judge.refusals.count === 0) writer.begin(entry, judged);
    },
    data: (piece) => writer.data(piece),
    entryEnd: () => writer.end(),
  });
  for await (const chunk of raw) {
    for (let at = 0; at < chunk.length; at += SLICE_BYTES) {
      signal.throwIfAborted();
      reader.write(chunk.subarray(at, at + SLICE_BYTES));
      if (pace.isDue) await pace.rest(signal);
    }
  }
  signal.throwIfAborted();
  reader.end();
  const plan = judge.end();
  refuseUnsafe(plan);
  await writer.finish(pace, signal);
  return { plan, bystanders: writer.bystanders };
}
