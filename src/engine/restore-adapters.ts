import type { ArchiveFormat } from '../domain/manifest.ts';
import type { Source } from '../domain/ports.ts';
import type {
  DatabaseTarget,
  ExtractOptions,
  FilesTarget,
  OpenScratch,
  ReadTree,
  ScratchDirectory,
  TreeExaminer,
} from '../domain/restore-ports.ts';

/** A database by its URI, which is a secret. */
export interface DatabasePlace {
  url: string;
  /** Where PostgreSQL's programs are; found when absent. */
  binDir?: string | undefined;
  /** Makes directories for its tablespaces; absent: those that an archive names. */
  makeTablespaceDirectory?(): Promise<string>;
}

/** What is dumped of a database, by names; with neither, all of it. */
export interface DumpSelection {
  /** These schemas. */
  schemas?: readonly string[];
  /** All tables of these schemas, without the schemas. */
  tablesOf?: readonly string[];
}

export interface OpenDatabaseOptions {
  /** Whether it is thrown away: what its server lacks is then NOT_PROVABLE. */
  scratch: boolean;
}

/** What restores and drills work with beside the rest of the context. */
export interface RestoreAdapters {
  openDatabase(place: DatabasePlace, options: OpenDatabaseOptions): DatabaseTarget;
  /** @param protectedPaths directories that nothing is restored into, whatever leads there. */
  openDirectory(path: string, protectedPaths?: readonly string[]): FilesTarget;
  /** Looks at the entries of an archive without a target. */
  openExaminer(options: ExtractOptions): TreeExaminer;
  readonly openScratch: OpenScratch;
  /** In a cluster of its own, whatever is configured. */
  readonly openScratchCluster: OpenScratch;
  makeScratchDirectory(signal: AbortSignal): Promise<ScratchDirectory>;
  /** Removes what dead drills left; returns the names. */
  sweepScratch(signal: AbortSignal): Promise<string[]>;
  /** Of these, what lies on this machine, also what dead restores left. */
  sweepScratchDirectories(signal: AbortSignal): Promise<string[]>;
  openDump(place: DatabasePlace, format: Exclude<ArchiveFormat, 'tar'>, selection: DumpSelection): Source;
  /**
   * The user id that runs what is restored in drills on this machine; undefined where they are done on another
   * server. Throws NOT_PROVABLE where none can be.
   */
  drillUserId(signal: AbortSignal): Promise<number | undefined>;
  /** Dumps the roles and tablespaces of a server. */
  openGlobals(place: DatabasePlace): Source;
  readonly readTree: ReadTree;
}
