import { median } from './measure.ts';

/** What one run of a contestant took. */
export interface Sample {
  /** Of the work that is compared. */
  wall_ms: number;
  /** Of a verification that belongs to the same run and is not in `wall_ms`. */
  verify_ms?: number;
  /** Of the verification when the run does not tell it: timed by itself, and in `wall_ms` as well. */
  separate_verify_ms?: number;
  /** Of what was written. */
  stored_bytes?: number;
  /** The most memory that the process had, its children not counted. */
  peak_bytes?: number;
}

export interface Contestant {
  name: string;
  /** Not timed. */
  prepare?: () => Promise<void>;
  run: () => Promise<Sample>;
  /** Takes away what the run left. Not timed. */
  clear?: () => Promise<void>;
}

/**
 * Runs contestants in turn – the first, the second, the first … – so that whatever else the machine does meets
 * them alike. The first round warms up and does not count.
 * @param settle Called before each run, which must not pay for what the one before left to be written.
 * @returns the samples of each contestant, in the order of the contestants.
 */
export async function alternate(
  contestants: readonly Contestant[],
  runs: number,
  settle: () => Promise<void>,
): Promise<Sample[][]> {
  const samples = contestants.map((): Sample[] => []);
  for (let round = 0; round <= runs; round += 1) {
    for (const [index, { prepare, run, clear }] of contestants.entries()) {
      await prepare?.();
      await settle();
      const sample = await run();
      if (round > 0) samples[index]?.push(sample);
      await clear?.();
    }
  }
  return samples;
}

/** The median of what the samples have of one figure; undefined when none has it. */
export function medianOf(samples: readonly Sample[], key: keyof Sample): number | undefined {
  const values = samples.flatMap((sample) => sample[key] ?? []);
  return values.length === 0 ? undefined : median(values);
}
