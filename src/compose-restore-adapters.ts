import type { Config } from './config/config.ts';
import type { Source } from './domain/ports.ts';
import type {
  DatabaseTarget,
  ExtractOptions,
  FilesTarget,
  ScratchDirectory,
  TreeExaminer,
} from './domain/restore-ports.ts';
import type {
  DatabasePlace,
  DumpSelection,
  OpenDatabaseOptions,
  RestoreAdapters,
} from './engine/restore-adapters.ts';
import { withoutLibpqVariables } from './postgres/libpq-program.ts';
import { clusterScratch } from './scratch/cluster-scratch.ts';
import { makeScratchDirectory } from './scratch/scratch-directory.ts';
import { defaultScratchParent } from './scratch/scratch-parent.ts';
import { serverScratch, sweepServerScratch } from './scratch/server-scratch.ts';
import { serverUserId } from './scratch/server-user.ts';
import { sweepScratch } from './scratch/sweep-scratch.ts';
import { GlobalsSource } from './sources/postgres/globals-source.ts';
import { PostgresSource } from './sources/postgres/postgres-source.ts';
import { DirectoryTarget } from './targets/files/directory-target.ts';
import { readTree } from './targets/files/read-tree.ts';
import { ArchiveExaminer } from './targets/files/tree-examiner.ts';
import { PostgresTarget } from './targets/postgres/postgres-target.ts';

/** Of the tables that a drill has just restored, nobody else holds a lock for long. */
const LOCK_WAIT_MS = 60_000;
const RESTORED = 'restored';

/** The adapters of restores and drills, which make what they throw away where the configuration says. */
export class ComposedRestoreAdapters implements RestoreAdapters {
  readonly readTree = readTree;
  readonly #scratch: Config['scratch'];

  constructor(scratch: Config['scratch']) {
    this.#scratch = scratch;
  }

  openDatabase(place: DatabasePlace, { scratch }: OpenDatabaseOptions): DatabaseTarget {
    const { url, binDir } = place;
    return new PostgresTarget({
      url,
      binDir,
      spoolDirectory: async () => makeScratchDirectory(await this.#directory()),
      scratch,
      tablespaceDirectory: place.makeTablespaceDirectory?.bind(place),
      ...(scratch ? ofScratch() : {}),
    });
  }

  openDirectory(path: string, protectedPaths: readonly string[] = []): FilesTarget {
    return new DirectoryTarget(path, protectedPaths);
  }

  openExaminer(options: ExtractOptions): TreeExaminer {
    return new ArchiveExaminer(options);
  }

  readonly openScratch: RestoreAdapters['openScratch'] = (wish, signal) => {
    const { url } = this.#scratch;
    return url === undefined
      ? this.openScratchCluster(wish, signal)
      : serverScratch({ url, ...ofScratch() })(wish, signal);
  };

  readonly openScratchCluster: RestoreAdapters['openScratchCluster'] = async (wish, signal) =>
    clusterScratch({ parent: await this.#directory() })(wish, signal);

  async makeScratchDirectory(signal: AbortSignal): Promise<ScratchDirectory> {
    return await makeScratchDirectory(await this.#directory(), signal);
  }

  async drillUserId(signal: AbortSignal): Promise<number | undefined> {
    return this.#scratch.url === undefined ? await serverUserId(signal) : undefined;
  }

  async sweepScratchDirectories(signal: AbortSignal): Promise<string[]> {
    return await sweepScratch(await this.#directory(), signal);
  }

  async sweepScratch(signal: AbortSignal): Promise<string[]> {
    const { url } = this.#scratch;
    const directories = await this.sweepScratchDirectories(signal);
    if (url === undefined) return directories;
    return [...directories, ...(await sweepServerScratch({ url, ...ofScratch() }, signal))];
  }

  openDump(
    { url, binDir }: DatabasePlace,
    format: Parameters<RestoreAdapters['openDump']>[1],
    { schemas = [], tablesOf = [] }: DumpSelection,
  ): Source {
    return new PostgresSource({
      include: { schemas: schemas.map(patternOf), tables: tablesOf.map((name) => `${patternOf(name)}.*`) },
      name: RESTORED,
      url,
      // What a dump in the directory format holds, one in the custom format holds too, in a single stream.
      format: format === 'directory' ? 'custom' : format,
      lockWaitTimeout_ms: LOCK_WAIT_MS,
      exclusive: false,
      ...ofScratch(),
      ...(binDir === undefined ? {} : { binDir }),
    });
  }

  openGlobals({ url, binDir }: DatabasePlace): Source {
    return new GlobalsSource({ database: RESTORED, url, binDir, passwords: true, ...ofScratch() });
  }

  async #directory(): Promise<string> {
    return this.#scratch.directory ?? (await defaultScratchParent());
  }
}

/** That pg_dump takes for this name and no other. */
function patternOf(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Of places to throw away, whose URLs say everything: the variables of libpq are about other servers. */
function ofScratch(): { env: NodeJS.ProcessEnv } {
  return { env: withoutLibpqVariables(process.env) };
}
