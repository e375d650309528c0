/**
 * Whether the contents of a new archive are those of a healthy series: compared with the newest archive
 * before it that is known to be good, so that a loss stays visible until the data are back or someone says
 * that it is meant.
 */
import { isFarAhead } from './far-ahead.ts';
import {
  type Anomaly,
  ANOMALY_KINDS,
  type AnomalyKind,
  type DatabaseContents,
  type FilesContents,
  isFilesContents,
  type Manifest,
  type ManifestSummary,
  tableKey,
} from './manifest.ts';
import { plural } from './plural.ts';
import { tableLabel } from './printable.ts';
import { formatSize } from './size.ts';

/** How much less is an anomaly: shares above 0 and up to 1, of which 1 never is exceeded. */
export interface AnomalyThresholds {
  /** Of rows, or of the entries of a files archive. */
  rowsDown: number;
  /** Of bytes before compression, or of the data of a files archive. */
  sizeDown: number;
}

/** What is compared of an archive. */
export type Substance = Pick<Manifest, 'filename' | 'format' | 'raw_size' | 'contents'>;

export type AnomalyFinding = Anomaly['findings'][number];

/** Smaller tables come and go by half every day; they count for the rows of all tables together. */
const TABLE_ROWS_MIN = 100;
/** Of one kind; a last one counts the rest. */
const FINDINGS_MAX = 20;

/** What `current` lacks, compared with `baseline`; undefined when nothing does. */
export function findAnomaly(
  current: Substance,
  baseline: Substance,
  thresholds: AnomalyThresholds,
): Anomaly | undefined {
  const now = current.contents;
  const before = baseline.contents;
  let findings: AnomalyFinding[] = [];
  if (isFilesContents(now) && isFilesContents(before)) findings = inFiles(now, before, thresholds);
  else if (!isFilesContents(now) && !isFilesContents(before)) {
    findings = inTables(now, before, thresholds);
    // The formats do not store the same data in the same number of bytes.
    if (current.format === baseline.format) {
      findings.push(...sizeDown(current.raw_size, baseline.raw_size, thresholds));
    }
  }
  if (findings.length === 0) return undefined;
  return { baseline: baseline.filename, findings };
}

/** The kinds of an anomaly, each once, in the order of `ANOMALY_KINDS`. */
export function kindsOf({ findings }: Anomaly): AnomalyKind[] {
  return ANOMALY_KINDS.filter((wanted) => findings.some(({ kind }) => kind === wanted));
}

/** The anomaly of an archive that nobody has acknowledged yet. */
export function openAnomaly({ anomaly }: Pick<ManifestSummary, 'anomaly'>): Anomaly | undefined {
  return anomaly?.acknowledged === undefined ? anomaly : undefined;
}

/** For people: `all tables: 20000 rows before, 150 now; public.orders: gone, it had 19000 rows`. */
export function describeAnomaly({ findings }: Anomaly): string {
  return findings.map(({ detail }) => detail).join('; ');
}

/**
 * The archives that the next one of a series can be compared with, the best first: verified, complete, without
 * an anomaly that nobody has acknowledged, and not dated by a clock that was wrong.
 *
 * @param series manifests of one source, oldest first.
 */
export function baselinesIn(
  series: readonly ManifestSummary[],
  type: Manifest['type'],
  now: Date,
): ManifestSummary[] {
  return series
    .filter((manifest) => {
      const { verification, incomplete, created_at } = manifest;
      const isGood = verification.ok && !incomplete && openAnomaly(manifest) === undefined;
      return manifest.type === type && isGood && !isFarAhead(new Date(created_at), now);
    })
    .toReversed();
}

/**
 * Which archives are kept because of an anomaly that nobody has acknowledged: by the filename of each the
 * newest archive that was compared with it, whose acknowledgement lets all of them go.
 *
 * @param series manifests of one source, oldest first.
 */
export function heldBaselines(series: readonly ManifestSummary[]): Map<string, string> {
  const held = new Map<string, string>();
  for (const manifest of series) {
    const anomaly = openAnomaly(manifest);
    if (anomaly !== undefined) held.set(anomaly.baseline, manifest.filename);
  }
  return held;
}

/**
 * The archives whose anomaly is acknowledged together with that of `filename`: it and all before it that were
 * compared with the same one, as far as they are not acknowledged yet. Oldest first.
 *
 * @param series manifests of one source, oldest first.
 */
export function acknowledgedWith(series: readonly ManifestSummary[], filename: string): string[] {
  const at = series.findIndex((manifest) => manifest.filename === filename);
  const baseline = series[at]?.anomaly?.baseline;
  return series
    .slice(0, at + 1)
    .filter((manifest) => baseline !== undefined && openAnomaly(manifest)?.baseline === baseline)
    .map((manifest) => manifest.filename);
}

function inTables(
  { tables: now }: DatabaseContents,
  { tables: before }: DatabaseContents,
  { rowsDown }: AnomalyThresholds,
): AnomalyFinding[] {
  const rowsNow = new Map(now.map((table) => [tableKey(table), table.rows]));
  // Where there are more than can be told of, the largest losses count.
  const ordered = before.toSorted((a, b) => b.rows - a.rows || (tableKey(a) < tableKey(b) ? -1 : 1));
  const gone: string[] = [];
  const down: string[] = [];
  for (const table of ordered) {
    const rows = rowsNow.get(tableKey(table));
    const name = tableLabel(table);
    if (rows === undefined) gone.push(`${name}: gone, it had ${plural(table.rows, 'row')}`);
    else if (table.rows >= TABLE_ROWS_MIN && isDown(rows, table.rows, rowsDown)) {
      down.push(`${name}: ${table.rows} rows before, ${rows} now`);
    }
  }
  const total = sumOf(now);
  const totalBefore = sumOf(before);
  if (isDown(total, totalBefore, rowsDown)) {
    down.unshift(`all tables: ${totalBefore} rows before, ${total} now`);
  }
  return [
    ...bounded('table_gone', gone),
    ...bounded('rows_down', down),
    ...emptied(now.length === 0, before.length === 0, `no table at all: there were ${before.length}`),
    // Without a table there is no row either, and one of the two says it.
    ...(now.length === 0
      ? []
      : emptied(total === 0, totalBefore === 0, `no row at all: there were ${totalBefore}`)),
  ];
}

function inFiles(now: FilesContents, before: FilesContents, thresholds: AnomalyThresholds): AnomalyFinding[] {
  const isFewer = isDown(now.entries, before.entries, thresholds.rowsDown);
  const entries = `${before.entries} entries before, ${now.entries} now`;
  // The directories themselves are entries: a tree that lost every file still has some.
  const hasNothing = now.entries === 0 || (now.bytes === 0 && before.bytes > 0);
  const had = `${before.entries} entries with ${formatSize(before.bytes)} of data`;
  return [
    ...(isFewer ? [{ kind: 'rows_down' as const, detail: entries }] : []),
    ...emptied(hasNothing, before.entries === 0, `no data at all: there were ${had}`),
    ...sizeDown(now.bytes, before.bytes, thresholds),
  ];
}

function sizeDown(now: number, before: number, thresholds: AnomalyThresholds): AnomalyFinding[] {
  if (!isDown(now, before, thresholds.sizeDown)) return [];
  return [{ kind: 'size_down', detail: `${formatSize(before)} of data before, ${formatSize(now)} now` }];
}

function emptied(isEmpty: boolean, wasEmpty: boolean, detail: string): AnomalyFinding[] {
  return isEmpty && !wasEmpty ? [{ kind: 'empty', detail }] : [];
}

/** By more than the share. As a quotient: `before * share` would round 100 * 0.29 to less than 29. */
function isDown(now: number, before: number, share: number): boolean {
  return before > 0 && (before - now) / before > share;
}

function bounded(kind: AnomalyKind, details: readonly string[]): AnomalyFinding[] {
  const rest = details.length - FINDINGS_MAX;
  const shown = rest > 0 ? [...details.slice(0, FINDINGS_MAX), `and ${rest} more`] : details;
  return shown.map((detail) => ({ kind, detail }));
}

function sumOf(tables: DatabaseContents['tables']): number {
  return tables.reduce((sum, { rows }) => sum + rows, 0);
}
