import type { ArchiveFormat, ArchiveType, CompressionType } from './manifest.ts';
import type { Key } from './ports.ts';

/** What a source of the configuration may be called; names ending in GLOBALS_SUFFIX are reserved. */
export const SOURCE_NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;
/** Behind the name of a database's source: the roles and tablespaces of its server, a series of their own. */
export const GLOBALS_SUFFIX = '_globals';

const FORMAT_EXTENSION = { plain: '.sql', custom: '.dump', directory: '.dir.tar', tar: '.tar' } as const;
const CODEC_SUFFIX = { none: '', gzip: '.gz', zstd: '.zst' } as const;

const ARCHIVE_NAME =
  /^(?<type>db|files)_backup_(?<source>[a-z0-9][a-z0-9_-]{0,62}(?:_globals)?)_(?<timestamp>\d{8}_\d{6})(?<extension>\.sql|\.dump|\.dir\.tar|\.tar)(?<suffix>|\.gz|\.zst)$/;

export interface ArchiveName {
  type: ArchiveType;
  source: string;
  /** UTC, `20251024_120015`. */
  timestamp: string;
  format: ArchiveFormat;
  compression: CompressionType;
}

/** Whether the archives of a source hold the roles and tablespaces of a server, and no database. */
export function isGlobalsSource(source: string): boolean {
  return source.endsWith(GLOBALS_SUFFIX);
}

/** `db_backup_<source>_<timestamp>.sql.gz`, `files_backup_<source>_<timestamp>.tar.zst` … */
export function formatArchiveName(name: ArchiveName): string {
  return `${archivePrefix(name.type, name.source)}${name.timestamp}${FORMAT_EXTENSION[name.format]}${CODEC_SUFFIX[name.compression]}`;
}

/** What stands before the timestamp. */
export function archivePrefix(type: ArchiveType, source: string): string {
  return `${type === 'database' ? 'db' : 'files'}_backup_${source}_`;
}

/** The parts of an archive's filename; undefined when it is none, as anything with a `/` in it. */
export function parseArchiveName(filename: string): ArchiveName | undefined {
  const groups = ARCHIVE_NAME.exec(filename)?.groups;
  if (groups === undefined) return undefined;
  const type = groups.type === 'db' ? 'database' : 'files';
  const format = keyOf(FORMAT_EXTENSION, groups.extension);
  const compression = keyOf(CODEC_SUFFIX, groups.suffix);
  const { source, timestamp } = groups;
  if (format === undefined || compression === undefined || source === undefined || timestamp === undefined) {
    return undefined;
  }
  if ((type === 'files') !== (format === 'tar') || parseTimestamp(timestamp) === undefined) return undefined;
  return { type, source, timestamp, format, compression };
}

export function archiveKey(filename: string): Key | undefined {
  const name = parseArchiveName(filename);
  return name === undefined ? undefined : `${name.type}/${filename}`;
}

/** The UTC second of an instant: `20251024_120015`. */
export function formatTimestamp(at: Date): string {
  return at.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '_');
}

/** The instant of `20251024_120015`; undefined for a date that does not exist. */
export function parseTimestamp(timestamp: string): Date | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)$/.exec(timestamp);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second] = match;
  const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  // Of a day that the month does not have, and of hour 24, Date makes another day; all else it refuses.
  return at.getUTCDate() === Number(day) ? at : undefined;
}

function keyOf<K extends string>(table: Record<K, string>, value: string | undefined): K | undefined {
  return (Object.keys(table) as K[]).find((key) => table[key] === value);
}
