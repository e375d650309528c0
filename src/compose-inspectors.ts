import type { Config } from './config/config.ts';
import { GLOBALS_SUFFIX } from './domain/archive-name.ts';
import type { DumpSurveyor, Inspectable, Inspector, OpenSurveyor } from './domain/ports.ts';
import { majorOf } from './domain/server-version.ts';
import { readCustomHeader } from './formats/dump/custom-header.ts';
import { readDirectoryHead } from './formats/dump/directory-head.ts';
import { CustomDumpInspector, type CustomDumpOptions } from './inspect/custom-dump.ts';
import { DirectoryDumpInspector } from './inspect/directory-dump.ts';
import { ArchivedDumpSurveyor, PlainDumpSurveyor } from './inspect/dump-surveyor.ts';
import { LateSurveyor } from './inspect/late-surveyor.ts';
import { PlainDumpInspector } from './inspect/plain-dump.ts';
import { TarTreeInspector } from './inspect/tar-tree.ts';
import { findTool } from './postgres/tools.ts';

/** Opens the inspector of a format, with the programs that the configuration says. */
export class Inspectors {
  #binDirs: ReadonlyMap<string, string> = new Map();

  constructor(config: Config) {
    this.configure(config);
  }

  /** Takes another configuration over; inspectors that are open go on with theirs. */
  configure(config: Config): void {
    this.#binDirs = new Map(
      config.jobs.flatMap(({ sources }) =>
        sources.flatMap((source) => {
          if (source.type !== 'postgres') return [];
          const { name, binDir } = source;
          if (binDir === undefined) return [];
          return [name, name + GLOBALS_SUFFIX].map((series) => [series, binDir] as const);
        }),
      ),
    );
  }

  /** Throws TOOL_MISSING or SERVER_TOO_NEW when there is no pg_restore for an archive that is no plain dump. */
  async open(archive: Inspectable, signal: AbortSignal): Promise<Inspector> {
    switch (archive.format) {
      case 'plain':
        return new PlainDumpInspector();
      case 'tar':
        return new TarTreeInspector();
      case 'custom':
        return new CustomDumpInspector(await this.#pgRestore(archive, signal));
      case 'directory':
        return new DirectoryDumpInspector(await this.#pgRestore(archive, signal));
      default:
        return archive.format satisfies never;
    }
  }

  /** Of dumps only; throws as `open` does. */
  readonly openSurveyor: OpenSurveyor = async (archive, ofRows, signal): Promise<DumpSurveyor> => {
    switch (archive.format) {
      case 'plain':
        return new PlainDumpSurveyor(ofRows);
      case 'custom':
      case 'directory':
        return archive.tool_version === undefined
          ? new LateSurveyor(
              async (tool_version = '') => this.openSurveyor({ ...archive, tool_version }, ofRows, signal),
              archive.format === 'custom' ? readCustomHeader : readDirectoryHead,
            )
          : new ArchivedDumpSurveyor(archive.format, await this.#pgRestore(archive, signal), ofRows);
      case 'tar':
        throw new Error('an archive of files is no dump');
      default:
        return archive.format satisfies never;
    }
  };

  async #pgRestore({ source, tool_version }: Inspectable, signal: AbortSignal): Promise<CustomDumpOptions> {
    const { env } = process;
    const binDir = this.#binDirs.get(source);
    const { path } = await findTool('pg_restore', majorOf(tool_version), {
      binDir,
      env,
      signal,
      neededBy: 'the archive',
    });
    return { pgRestore: path, env, signal };
  }
}
