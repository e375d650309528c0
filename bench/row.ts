/** The lines of the result: what was compared with what, and how it came out. */
import { medianOf, type Sample } from './alternate.ts';
import { median } from './measure.ts';

export type Verdict = 'pass' | 'falls short' | 'no target' | 'not compared' | 'not built' | 'failed';
export type Unit = 'ms' | 'bytes';

export interface Row {
  area: string;
  work: string;
  against: string;
  verdict: Verdict;
  /** How ours and theirs are to be read. */
  unit: Unit;
  /** Medians, and all that they are of. */
  ours?: Figures;
  theirs?: Figures;
  /** Ours over theirs, where both were measured. */
  ratio?: number;
  /** Of the ratio, or without one of ours in its unit. */
  at_most?: number;
  /** Median of the verification of what was written, and of the whole process with it. */
  verification_ms?: number;
  with_verification_ms?: number;
  remarks: string[];
}

export interface Figures {
  median: number;
  values: number[];
}

export interface Named {
  area: string;
  work: string;
  against: string;
  remarks?: readonly string[];
}

/** Ours against a peer: the ratio of the medians of their times is held against the target, if there is one. */
export function ratioRow(
  named: Named,
  ours: readonly Sample[],
  theirs: readonly Sample[],
  atMost?: number,
): Row {
  const figures = { ours: timesOf(ours), theirs: timesOf(theirs) };
  const ratio = figures.ours.median / figures.theirs.median;
  return {
    ...named,
    unit: 'ms',
    ...figures,
    ratio,
    ...(atMost === undefined ? {} : { at_most: atMost }),
    verdict: verdictOf(ratio, atMost),
    ...verification(ours),
    remarks: [...remarksOf(ours, theirs), ...(named.remarks ?? [])],
  };
}

/** A figure of ours against a limit. */
export function limitRow(named: Named, unit: Unit, values: readonly number[], atMost: number): Row {
  const ours = { median: median(values), values: [...values] };
  return {
    ...named,
    unit,
    ours,
    at_most: atMost,
    verdict: verdictOf(ours.median, atMost),
    remarks: [...(named.remarks ?? [])],
  };
}

/** What was not measured, and why. */
export function absentRow(named: Named, verdict: Verdict, why: string): Row {
  return { ...named, unit: 'ms', verdict, remarks: [...(named.remarks ?? []), why] };
}

function verdictOf(value: number, atMost: number | undefined): Verdict {
  if (atMost === undefined) return 'no target';
  return value <= atMost ? 'pass' : 'falls short';
}

function timesOf(samples: readonly Sample[]): Figures {
  const values = samples.map(({ wall_ms }) => wall_ms);
  return { median: median(values), values };
}

function verification(samples: readonly Sample[]): Partial<Row> {
  const told = samples.flatMap(({ wall_ms, verify_ms }) =>
    verify_ms === undefined ? [] : { verify_ms, sum_ms: wall_ms + verify_ms },
  );
  if (told.length === samples.length) {
    return {
      verification_ms: median(told.map(({ verify_ms }) => verify_ms)),
      with_verification_ms: median(told.map(({ sum_ms }) => sum_ms)),
    };
  }
  const separate_ms = medianOf(samples, 'separate_verify_ms');
  if (separate_ms === undefined) return {};
  return {
    verification_ms: separate_ms,
    with_verification_ms: median(samples.map(({ wall_ms }) => wall_ms)),
  };
}

function remarksOf(ours: readonly Sample[], theirs: readonly Sample[]): string[] {
  const remarks: string[] = [];
  const stored = [medianOf(ours, 'stored_bytes'), medianOf(theirs, 'stored_bytes')];
  if (stored[0] !== undefined && stored[1] !== undefined) {
    remarks.push(`${megabytes(stored[0])} stored, by the peer ${megabytes(stored[1])}`);
  }
  const peak_bytes = medianOf(ours, 'peak_bytes');
  if (peak_bytes !== undefined) remarks.push(`peak RSS ${megabytes(peak_bytes)}`);
  if (medianOf(ours, 'separate_verify_ms') !== undefined) {
    remarks.push(
      'the program does not tell how long its verification took: ours includes it, and `cofre verify` was timed by itself',
    );
  }
  return remarks;
}

export function megabytes(bytes: number): string {
  const mega = bytes / 1e6;
  return `${mega < 10 ? mega.toFixed(1) : Math.round(mega)} MB`;
}
