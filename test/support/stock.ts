import { createHash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { parseArchiveName, parseTimestamp } from '../../src/domain/archive-name.ts';
import { type JournalEntry, parseJournalLine, type RunEnded } from '../../src/domain/journal-entry.ts';
import type { DatabaseContents, Manifest } from '../../src/domain/manifest.ts';
import { formatSize } from '../../src/domain/size.ts';
import type { Location } from '../../src/catalogue/location.ts';
import { PlainDumpInspector } from '../../src/inspect/plain-dump.ts';
import { dumpText, NO_ABORT } from './fakes.ts';
import type { TestLocation } from './test-location.ts';

const ARCHIVE = gzipSync(dumpText());
const CONTENTS = await contentsOf(dumpText());

/** The contents of a plain dump. */
export async function contentsOf(dump: string): Promise<DatabaseContents> {
  const inspector = new PlainDumpInspector();
  inspector.write(Buffer.from(dump));
  return await inspector.end();
}

/** A manifest of a plain dump, as a backup of `dumpText()` writes it. */
export function manifestOf(location: Location, filename: string, facts: Partial<Manifest> = {}): Manifest {
  const name = parseArchiveName(filename);
  if (name === undefined) throw new Error(`${filename} is not the name of an archive`);
  const at = (parseTimestamp(name.timestamp) ?? new Date(0)).toISOString();
  return {
    version: 1,
    type: name.type,
    filename,
    filepath: location.archivePath(name.type, filename),
    size: ARCHIVE.length,
    size_human: formatSize(ARCHIVE.length),
    hash: createHash('sha256').update(ARCHIVE).digest('hex'),
    compressed: true,
    encrypted: false,
    timestamp: name.timestamp,
    created_at: at,
    job: 'nightly',
    source: name.source,
    run: `${name.timestamp}-000000`,
    trigger: 'schedule',
    actor: 'daemon',
    compression: name.compression,
    format: name.format,
    started_at: at,
    duration_ms: 10,
    raw_size: dumpText().length,
    pinned: false,
    incomplete: false,
    contents: CONTENTS,
    verification: { level: 'contents', ok: true, at, detail: '1 table with 2 rows, as dumped' },
    ...facts,
  };
}

/** Puts an archive and its manifest at the location, as a backup leaves them. */
export async function addBackup(
  { location, context }: TestLocation,
  filename: string,
  facts: Partial<Manifest> = {},
): Promise<Manifest> {
  const manifest = manifestOf(location, filename, facts);
  await writeFile(location.archivePath(manifest.type, filename), ARCHIVE);
  await context.catalogue.add(manifest, NO_ABORT);
  return manifest;
}

/** `db_backup_<source>_202611<day>_020000.sql.gz` */
export function daily(day: number, source = 'app'): string {
  return `db_backup_${source}_202611${String(day).padStart(2, '0')}_020000.sql.gz`;
}

/** The journal's line of a run that added these archives, unless other facts are given. */
export function endedEntry(archives: string[], facts: Partial<RunEnded> = {}): RunEnded {
  return {
    event: 'ended',
    at: '2026-11-19T02:00:00.000Z',
    run: 'r',
    job: 'nightly',
    trigger: 'schedule',
    actor: 'daemon',
    outcome: 'succeeded',
    duration_ms: 1,
    archives,
    errors: [],
    ...facts,
  };
}

/** Backups of these days that the journal knows of. */
export async function addRecorded(bed: TestLocation, ...days: number[]): Promise<void> {
  for (const day of days) await addBackup(bed, daily(day));
  await bed.context.journal.append(endedEntry(days.map((day) => daily(day))));
}

/** Takes a backup's files away, by other means than ours. */
export async function lose({ location }: TestLocation, day: number): Promise<void> {
  await rm(location.archivePath('database', daily(day)));
  await rm(location.manifestPath(daily(day)));
}

/** Every line of the journal; undefined stands for one that is no entry. */
export async function journalEntries({ location }: TestLocation): Promise<(JournalEntry | undefined)[]> {
  const text = await readFile(location.journal, 'utf8').catch(() => '');
  return text.split('\n').filter(Boolean).map(parseJournalLine);
}
