/**
 * The record of one archive, as it stands in `<location>/manifests/<filename>.json`.
 * Field names are part of the contract; docs/format.md describes each.
 */
export interface Manifest {
  version: 1;
  type: ArchiveType;
  filename: string;
  /** Absolute; written for readers, never trusted: cofre derives it from location, type and filename. */
  filepath: string;
  /** Bytes of the stored file. */
  size: number;
  /** `1.00 MB`, 1024-based. */
  size_human: string;
  /** SHA-256 of the stored file, hex. */
  hash: string;
  compressed: boolean;
  encrypted: false;
  /** The start of the run, UTC, `20251024_120015`. */
  timestamp: string;
  /** ISO 8601, UTC, `Z`: the same instant. */
  created_at: string;
  /** Files: the member names below which each directory lies in the archive. */
  directories?: string[];
  roots?: Root[];
  job: string;
  source: string;
  run: string;
  trigger: Trigger;
  actor: string;
  compression: CompressionType;
  format: ArchiveFormat;
  started_at: string;
  /** Capture and verification together. */
  duration_ms: number;
  /** Bytes before compression. */
  raw_size: number;
  system_identifier?: string;
  database?: string;
  server_version?: string;
  tool_version?: string;
  /** Of the database, for a restore to make one like it. */
  locale?: DatabaseLocale;
  /** Present, and true, on a manifest that was made from the archive alone after it had lost its own. */
  rebuilt?: true;
  pinned: boolean;
  /** Whether `contents.incomplete` names anything; stands here because lists leave `contents` out. */
  incomplete: boolean;
  contents: Contents;
  verification: Verification;
  /** The latest drill; absent before the first. */
  proof?: Proof;
  /** What its contents lack, compared with the series; absent when nothing does. */
  anomaly?: Anomaly;
}

/** A manifest as lists and the published index hold it. */
export type ManifestSummary = Omit<Manifest, 'contents'>;

export const ARCHIVE_TYPES = ['database', 'files'] as const;
export type ArchiveType = (typeof ARCHIVE_TYPES)[number];

export const TRIGGERS = ['schedule', 'catch-up', 'cli', 'api'] as const;
export type Trigger = (typeof TRIGGERS)[number];

export const OUTCOMES = ['succeeded', 'incomplete', 'failed', 'skipped', 'cancelled'] as const;
export type Outcome = (typeof OUTCOMES)[number];

export const COMPRESSION_TYPES = ['none', 'gzip', 'zstd'] as const;
export type CompressionType = (typeof COMPRESSION_TYPES)[number];

export const ARCHIVE_FORMATS = ['plain', 'custom', 'directory', 'tar'] as const;
export type ArchiveFormat = (typeof ARCHIVE_FORMATS)[number];

export const VERIFY_LEVELS = ['checksum', 'contents'] as const;
export type VerifyLevel = (typeof VERIFY_LEVELS)[number];

export const VERDICTS = ['proven', 'failed', 'not provable here'] as const;
/** What a drill found. `not provable here` says something of this machine and nothing of the archive. */
export type Verdict = (typeof VERDICTS)[number];

/** The latest drill of an archive: a restore into something thrown away, compared with what was recorded. */
export interface Proof {
  verdict: Verdict;
  /** ISO 8601, UTC: when the drill ended. */
  at: string;
  /** The measured recovery time: from the first byte read to the data standing restored, or to the fault. */
  duration_ms: number;
  /** For people: what was compared, or each table or path that differs and how, or what this machine lacks. */
  detail: string;
  /** Of what did the drill: `cofre`, and for a database `server` and `pg_dump`. */
  versions: Record<string, string>;
}

/** How a database sorts and encodes text, as in `pg_database`, and writes money. */
export interface DatabaseLocale {
  /** `UTF8` */
  encoding: string;
  /** `LC_COLLATE` */
  collate: string;
  /** `LC_CTYPE` */
  ctype: string;
  /** Where PostgreSQL knows providers: `libc`, `icu` or `builtin`. */
  provider?: string;
  /** Of the providers `icu` and `builtin`. */
  provider_locale?: string;
  /** `lc_monetary` of the session that dumped: `money` is written by it, and must be read by it. */
  monetary?: string;
}

export const ANOMALY_KINDS = ['table_gone', 'rows_down', 'size_down', 'empty'] as const;
export type AnomalyKind = (typeof ANOMALY_KINDS)[number];

/** Contents that shrank against the series. */
export interface Anomaly {
  /** Filename of the archive it was compared with, which retention keeps until this is acknowledged. */
  baseline: string;
  findings: { kind: AnomalyKind; detail: string }[];
  /** Who said that the change is meant, and when. */
  acknowledged?: { at: string; actor: string };
}

/** One directory of a files source: its member name in the archive and where it lay. */
export interface Root {
  name: string;
  path: string;
}

/** The latest check of an archive. */
export interface Verification {
  level: VerifyLevel;
  ok: boolean;
  /** ISO 8601, UTC. */
  at: string;
  detail: string;
}

export type Contents = DatabaseContents | FilesContents;

export interface DatabaseContents {
  tables: TableContents[];
  /** Over every line that is not COPY data, without comments naming versions and `\restrict` lines. */
  schema_sha256: string;
}

export interface TableContents {
  schema: string;
  name: string;
  rows: number;
  /** Bytes of the COPY data lines, each with its newline. */
  bytes: number;
  sha256: string;
}

/** What a table goes by in a map. Names may hold dots. */
export function tableKey({ schema, name }: Pick<TableContents, 'schema' | 'name'>): string {
  return JSON.stringify([schema, name]);
}

export interface FilesContents {
  entries: number;
  /** Bytes of data of all regular files. */
  bytes: number;
  /** SHA-256 over one line per entry; docs/format.md has the line. */
  digest: string;
  /** Grew while read (cut at the size first seen), or vanished before being opened: warnings. */
  changed: FileRemark[];
  /** Unreadable, or shrank while read: the run is then `incomplete`. */
  incomplete: FileRemark[];
}

export interface FileRemark {
  /** The member name; bytes that are not UTF-8 are shown as `\xNN`. */
  path: string;
  reason: string;
}

export function isFilesContents(contents: Contents): contents is FilesContents {
  return 'digest' in contents;
}

/** Whether something that belongs to the archive could not be read. */
export function isIncomplete(contents: Contents): boolean {
  return isFilesContents(contents) && contents.incomplete.length > 0;
}
