import type { ManifestSummary, Proof } from './manifest.ts';

/** What drills have said of one series. */
export interface SeriesProofs {
  /** The latest drill, whatever its verdict. */
  latest: DrilledArchive | undefined;
  /** The latest drill that proved an archive. */
  proven: DrilledArchive | undefined;
  /** Whether the newest archive that has a verdict, `proven` or `failed`, has failed. */
  newestFailed: boolean;
  /** Filenames of all archives whose latest drill failed, oldest first. */
  failed: string[];
}

export interface DrilledArchive {
  filename: string;
  proof: Proof;
}

/** @param manifests Oldest first, as the catalogue lists them. */
export function proofsBySource(manifests: readonly ManifestSummary[]): Map<string, SeriesProofs> {
  const bySource = new Map<string, SeriesProofs>();
  for (const { source, filename, proof } of manifests) {
    if (proof === undefined) continue;
    const drilled = { filename, proof };
    const known = bySource.get(source);
    const failed = proof.verdict === 'failed';
    bySource.set(source, {
      latest: later(known?.latest, drilled),
      proven: proof.verdict === 'proven' ? later(known?.proven, drilled) : known?.proven,
      // What a machine cannot prove takes nothing back.
      newestFailed: proof.verdict === 'not provable here' ? (known?.newestFailed ?? false) : failed,
      failed: [...(known?.failed ?? []), ...(failed ? [filename] : [])],
    });
  }
  return bySource;
}

function later(known: DrilledArchive | undefined, drilled: DrilledArchive): DrilledArchive {
  return known === undefined || known.proof.at <= drilled.proof.at ? drilled : known;
}
