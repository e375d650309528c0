import type { DumpNeeds, DumpSchemas } from './dump-survey.ts';
import type { ArchiveFormat, DatabaseLocale, FileRemark, FilesContents, TableContents } from './manifest.ts';
import type { ByteStream } from './ports.ts';
import type { TreeEntry } from './tree-listing.ts';

/** What stands at the place where a database is to be restored. */
export interface DatabaseTargetState {
  /** For messages, without a password: `shop at db.example.org:5432`. */
  description: string;
  database: string;
  exists: boolean;
  /** Of the cluster; absent where the role may not ask. */
  system_identifier?: string;
  major: number;
  /** What it holds of its users but schemas, named for people: `table public.orders`. Empty: nothing. */
  occupants: string[];
}

export interface DatabaseRestoreOptions {
  format: ArchiveFormat;
  /** Bytes of the raw archive; one that is no plain dump is unpacked into a temporary directory for parallel jobs. */
  raw_size: number;
  /** Major of the pg_dump that wrote it; 0 when it is not known. */
  toolMajor: number;
  /** Makes the database, over a connection of its own, like the source's. */
  create: boolean;
  /** Puts the restored database in the place of the one that is there, once the restore has succeeded. */
  clean: boolean;
  locale?: DatabaseLocale | undefined;
  /** Custom and directory format: how many connections restore at once. */
  jobs: number;
  /** Plain format only. */
  singleTransaction: boolean;
  /** False leaves owners and privileges out. */
  owners: boolean;
  /** Custom and directory format: restore these and nothing else. */
  schemas: readonly string[];
  tables: readonly string[];
  /** Of the whole archive, by its survey. */
  dumpSchemas: DumpSchemas;
}

/** What applying roles and tablespaces did. */
export interface GlobalsResult {
  /** Names of what was made. */
  made: string[];
  /** Names of what existed, and stays as it was. */
  existing: string[];
}

/** What a dump needs of a server and does not find there. */
export type Lacking = Pick<DumpNeeds, 'roles' | 'extensions' | 'tablespaces'>;

/** A database that an archive is restored into. */
export interface DatabaseTarget {
  /** As `DatabaseTargetState.description`, without connecting. Throws CONFIG_INVALID. */
  describe(): Promise<string>;
  /** Throws what connecting throws. */
  look(signal: AbortSignal): Promise<DatabaseTargetState>;
  /** Found before hours of restoring end at the last statement. */
  lacking(needs: DumpNeeds, signal: AbortSignal): Promise<Lacking>;
  /** Makes the roles and tablespaces of a globals archive that are not there. Throws RESTORE_FAILED. */
  applyGlobals(raw: ByteStream, signal: AbortSignal): Promise<GlobalsResult>;
  /**
   * Restores; returns, for people, how what was made differs from what was wanted. Whatever stops it half-way, an error of `raw` too, throws RESTORE_FAILED, or NOT_PROVABLE where this
   * server lacks what the archive needs, with a message that says in what state the target is.
   */
  restore(raw: ByteStream, options: DatabaseRestoreOptions, signal: AbortSignal): Promise<string[]>;
  /** Those of the tables whose names are taken in the database, by whatever. */
  existing<T extends Pick<TableContents, 'schema' | 'name'>>(
    tables: readonly T[],
    signal: AbortSignal,
  ): Promise<T[]>;
  /** Rows of each table, in the same order; undefined for a table that is not there. */
  countRows(
    tables: readonly Pick<TableContents, 'schema' | 'name'>[],
    signal: AbortSignal,
  ): Promise<(number | undefined)[]>;
}

/** What a drill wants of a throwaway database. */
export interface ScratchWish {
  /** Of the server that was dumped: an older one may not restore it. 0 when it is not known. */
  major: number;
  locale?: DatabaseLocale | undefined;
  needs: DumpNeeds;
  /** Bytes of the raw archive. */
  raw_size: number;
}

/** A database to throw away: gone, with all that was made for it, when it is disposed of. */
export interface ScratchDatabase extends AsyncDisposable {
  /** Of a superuser where the cluster is ours. */
  readonly url: string;
  /** Of the server, as it writes it. */
  readonly server_version: string;
  /** Where the programs of its version are; undefined: found as for any server. */
  readonly binDir?: string;
  /** For people, how it differs from what was wished for: `the locale pt_PT.UTF-8 is not on this machine: C`. */
  readonly remarks: string[];
  /** Whether it sorts and encodes text as the source does. */
  readonly sameLocale: boolean;
  /** Whether it reads and writes money as the source does. */
  readonly sameMoney: boolean;
  /** Wished for, and neither there nor made. */
  readonly missingRoles: string[];
  /** Wished for and there, but not for its role to act as, or to give anything to. Absent: none. */
  readonly foreignRoles?: string[];
  /** Once it is disposed of: what could not be thrown away, and why. */
  left?(): string | undefined;
  /** What a server of ours last said, if it has ended by itself: why a restore lost it. */
  lastWords?(): string | undefined;
  /** Of a server of ours: an empty directory for a tablespace, gone with all the rest. */
  makeTablespaceDirectory?(): Promise<string>;
}

/** Throws NOT_PROVABLE, naming what is missing: server programs, space, extensions, rights. */
export type OpenScratch = (wish: ScratchWish, signal: AbortSignal) => Promise<ScratchDatabase>;

/** A directory to throw away, which is removed also after its maker was killed, by the next start. */
export interface ScratchDirectory extends AsyncDisposable {
  readonly path: string;
}

/** What stands at the place where files are to be restored. */
export interface FilesTargetState {
  /** Absolute. */
  path: string;
  exists: boolean;
  /** Some of the names in it. Empty: nothing stands in the way. */
  occupants: string[];
  /** Paths beside a target that is to be made, where a restore that died, or one under way, gathers what it moves. */
  leftovers: string[];
  /** Bytes. */
  free_bytes: number;
}

export interface ExtractOptions {
  /** Globs over member paths; one that matches a directory takes everything below it. Empty: everything. */
  paths: readonly string[];
  /** Merges into a directory that is not empty: what the archive holds replaces what has its name. */
  overwrite: boolean;
  /** Makes links that lead out of the target as they are; they are never followed. */
  outsideLinks: boolean;
  /** Gives entries to their owners; for root only. */
  owners: boolean;
}

/** An entry that is not extracted. */
export interface RefusedEntry extends FileRemark {
  kind: RefusedKind;
}

/**
 * Why an entry is refused: it leads out of the target, and `outsideLinks` takes it as it is; it is a device, or a
 * hard link to one; it is a hard link to what is not chosen; or it is `foreign`: no backup writes such an entry, so
 * somebody else wrote it.
 */
export type RefusedKind = 'outside' | 'device' | 'unchosen' | 'foreign';

/** What of a target would make room for entries of an archive. Not all is kept by name. */
export interface Replacing {
  /** Paths in the target, for people: all but directories that are merged with those of the archive. */
  replaced: string[];
  replaced_total: number;
  /** Directories that hold something where the archive has none: they are not replaced, and nothing is restored. */
  kept: string[];
  kept_total: number;
}

/** What extracting an archive would do, found without writing anything. */
export interface TreePlan {
  /** Of those chosen. */
  entries: number;
  /** Bytes of data of those chosen. */
  bytes: number;
  /** Chosen, and refused: absolute, with `..`, links that lead out, devices. */
  refused: RefusedEntry[];
  /** Of millions not all are kept by name. */
  refused_total: number;
  /** How many of them are `foreign`. */
  foreign_total: number;
  /** Of a target that is merged into, what would make room for an entry; absent where nothing is merged. */
  replacing?: Replacing;
}

/** Looks at every entry of a files archive as it passes by. */
export interface TreeExaminer {
  write(chunk: Buffer): void;
  end(): TreePlan;
}

/** A directory that a files archive is restored into. */
export interface FilesTarget {
  /** Absolute, whether it exists or not. */
  readonly path: string;
  look(): Promise<FilesTargetState>;
  examine(options: ExtractOptions): TreeExaminer;
  /**
   * Extracts beside the target, calls `check` with the directory that holds the result, and moves it into place.
   * Whatever stops it, the target is as it was before. Throws ARCHIVE_UNSAFE or RESTORE_FAILED.
   */
  extract(
    raw: ByteStream,
    options: ExtractOptions,
    check: (directory: string) => Promise<void>,
    signal: AbortSignal,
  ): Promise<TreePlan>;
}

/**
 * The contents of a tree on disk as those of the archive it came from, to be compared with. It may change modes
 * in order to read.
 * @param directories the member names at its top, in the order of the archive.
 * @param onEntry is told each entry, in the order of an archive.
 */
export type ReadTree = (
  root: string,
  directories: readonly string[],
  signal: AbortSignal,
  onEntry?: (entry: TreeEntry) => Promise<void>,
) => Promise<FilesContents>;
