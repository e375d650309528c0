import type { ErrorCode } from './errors.ts';
import type { DumpSurvey } from './dump-survey.ts';
import type {
  ArchiveFormat,
  ArchiveType,
  Contents,
  DatabaseLocale,
  FileRemark,
  Root,
  TableContents,
} from './manifest.ts';
import type { Notice } from './notice.ts';

/**
 * Raw bytes in order. Its end means success: a producer that failed makes the iteration throw.
 *
 * How long a chunk is valid depends on where it comes from. On the way into a store (`Capture`, `Codec.encode`,
 * `Store.stage`) it is until the next one is asked for, as its memory is used again. On the way out (`Store.get`,
 * `StagedObject.read`, `Codec.decode`) it stays valid: restores and downloads go through what reads ahead. What only
 * looks at the bytes as they pass hands on the chunks that it was given.
 */
export type ByteStream = AsyncIterable<Buffer>;

/** Something worth knowing before a run; `error` means that a capture would fail. */
export interface Finding {
  severity: 'error' | 'warning' | 'info';
  code: ErrorCode | 'OK';
  /** What it concerns: a source, a table, a directory, a config path. */
  path: string;
  message: string;
  hint: string;
}

/** One database or one set of directories. */
export interface Source {
  readonly name: string;
  readonly type: ArchiveType;
  readonly format: ArchiveFormat;
  /** Everything that would make capture fail, found at once. Throws for nothing but cancellation. */
  preflight(signal: AbortSignal): Promise<Finding[]>;
  /** What takes longer to find than a run should wait: everything unreadable inside. For `check`. */
  survey?(signal: AbortSignal): Promise<Finding[]>;
  /** Starts reading the source. What is held for it (sessions, children) is released with the stream. */
  capture(signal: AbortSignal): Promise<Capture>;
}

export interface Capture {
  /** A chunk is valid until the next one is asked for: whoever needs it for longer copies it. */
  readonly stream: ByteStream;
  readonly facts: CaptureFacts;
  /** What happened to single entries while reading; complete once the stream has ended. */
  remarks(): CaptureRemarks;
}

/** What the manifest records about where the bytes came from. */
export interface CaptureFacts {
  system_identifier?: string;
  database?: string;
  server_version?: string;
  tool_version?: string;
  locale?: DatabaseLocale;
  directories?: string[];
  roots?: Root[];
}

export interface CaptureRemarks {
  changed: FileRemark[];
  incomplete: FileRemark[];
}

/** Derives `contents` from the raw bytes of an archive, as they pass by. */
export interface Inspector extends AsyncDisposable {
  /** Resolves when more bytes are welcome; the chunk is valid until then. Throws when the bytes cannot be an archive of this format. */
  write(chunk: Buffer): void | Promise<void>;
  /** The contents, once all bytes were written. Throws DUMP_EMPTY, DUMP_TRUNCATED or ARCHIVE_CORRUPT. */
  end(): Promise<Contents>;
}

/** What an inspector must know of an archive to read it. */
export interface Inspectable {
  format: ArchiveFormat;
  source: string;
  /** Of the program that wrote it: an older one may not read it. */
  tool_version?: string | undefined;
}

/** Throws TOOL_MISSING when a program that the format needs is not on this machine. */
export type OpenInspector = (archive: Inspectable, signal: AbortSignal) => Promise<Inspector>;

/** An inspector of dumps that also finds what a drill compares and what a restore needs. */
export interface DumpSurveyor extends Inspector {
  /** Once `end` has resolved. */
  survey(): DumpSurvey;
}

/** @param ofRows says of which tables the order-independent digest of rows is wanted: it costs a hash per row. */
export type OpenSurveyor = (
  archive: Inspectable,
  ofRows: (table: Pick<TableContents, 'schema' | 'name'>) => boolean,
  signal: AbortSignal,
) => Promise<DumpSurveyor>;

/** Compression as two stream transforms. Both throw on a malformed or truncated input, and keep no chunk of it. */
export interface Codec {
  /** A chunk is valid until the next one is asked for. */
  encode(input: ByteStream): ByteStream;
  /** A chunk stays valid, if those of the input do. */
  decode(input: ByteStream): ByteStream;
}

/** How to encode. */
export interface CodecOptions {
  /** Higher is smaller and slower; the codec's default when absent. */
  level?: number;
  /** zstd: also find what repeats over up to 128 MiB, for as much more memory at either end. */
  longDistance?: boolean;
  /** What the bytes are, where that is known: rows of a dump compress otherwise than files do. */
  content?: ArchiveType;
}

/** Where an object lies in a store: `database/<filename>` or `files/<filename>`. */
export type Key = `${ArchiveType}/${string}`;

/** A part of an object, both ends included, counted from 0. */
export interface ByteRange {
  first: number;
  last: number;
}

export interface StoredObject {
  key: Key;
  /** Bytes. */
  size: number;
}

/** An object whose bytes are durable but which has no name yet. Exactly one of the three ends it. */
export interface StagedObject {
  readonly key: Key;
  /** Bytes. */
  readonly size: number;
  /** As `Store.get`. */
  read(signal: AbortSignal): ByteStream;
  /** Gives it its name, durably. */
  commit(): Promise<void>;
  /** Keeps it for inspection as `.<name>.failed`, never to be taken for a backup. */
  reject(): Promise<void>;
  discard(): Promise<void>;
}

/** Immutable objects. Deleting an absent key succeeds. */
export interface Store {
  readonly id: string;
  /** Writes and flushes to disk, and keeps no chunk; on any error nothing is left behind. */
  stage(key: Key, payload: ByteStream, signal: AbortSignal): Promise<StagedObject>;
  /**
   * Each chunk has memory of its own and stays valid. Throws ARCHIVE_MISSING on first read of an absent key.
   * @param range all of it when absent.
   */
  get(key: Key, signal: AbortSignal, range?: ByteRange): ByteStream;
  stat(key: Key): Promise<StoredObject | undefined>;
  /** Committed objects only. */
  list(type: ArchiveType): Promise<StoredObject[]>;
  delete(key: Key): Promise<void>;
  /** Whether an object bears this name, staged and rejected ones too. */
  isTaken(key: Key): Promise<boolean>;
  /** Names of the staged leftovers (`partial`) and rejected objects (`failed`) of one type. */
  leftovers(type: ArchiveType): Promise<Leftover[]>;
  removeLeftover(leftover: Leftover): Promise<void>;
}

export interface Leftover {
  type: ArchiveType;
  /** The archive's filename. */
  filename: string;
  state: 'partial' | 'failed';
}

export interface Clock {
  now(): Date;
  /**
   * Resolves at `at` at the latest, when the signal aborts, and every now and then, so that a suspend or a
   * step of the clock is noticed within 30 s: whoever sleeps looks at the time again.
   */
  sleepUntil(at: Date, signal: AbortSignal): Promise<void>;
}

/** Tells people or programs elsewhere. */
export interface Notifier {
  /** Unique within the configuration. */
  readonly id: string;
  /** Makes one attempt. Throws NOTIFY_FAILED when it was not taken; no message of it holds a secret or a URL. */
  notify(notice: Notice, signal: AbortSignal): Promise<void>;
}

/** `run` settles only once everything it started has stopped. */
export interface Service {
  readonly id: string;
  run(signal: AbortSignal): Promise<void>;
}
