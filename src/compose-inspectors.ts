import type { Config } from './config/config.ts';
import { GLOBALS_SUFFIX } from './domain/archive-name.ts';
import { BackupError } from './domain/errors.ts';
import type { ArchiveFormat } from './domain/manifest.ts';
import type { DumpSurveyor, Inspectable, Inspector, OpenSurveyor } from './domain/ports.ts';
import { CustomDumpInspector, type CustomDumpOptions } from './inspect/custom-dump.ts';
import { CustomDumpSurveyor, PlainDumpSurveyor } from './inspect/dump-surveyor.ts';
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

  /** Throws TOOL_MISSING or SERVER_TOO_NEW when there is no pg_restore for an archive in the custom format. */
  async open(archive: Inspectable, signal: AbortSignal): Promise<Inspector> {
    switch (archive.format) {
      case 'plain':
        return new PlainDumpInspector();
      case 'tar':
        return new TarTreeInspector();
      case 'custom':
        return new CustomDumpInspector(await this.#customOptions(archive, signal));
      case 'directory':
        throw unread('directory');
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
        return archive.tool_version === undefined
          ? new LateSurveyor(async (tool_version = '') =>
              this.openSurveyor({ ...archive, tool_version }, ofRows, signal),
            )
          : new CustomDumpSurveyor(await this.#customOptions(archive, signal), ofRows);
      case 'directory':
        throw unread('directory');
      case 'tar':
        throw new Error('an archive of files is no dump');
      default:
        return archive.format satisfies never;
    }
  };

  async #customOptions(
    { source, tool_version = '' }: Inspectable,
    signal: AbortSignal,
  ): Promise<CustomDumpOptions> {
    const major = Number(/\d+/.exec(tool_version)?.[0] ?? 0);
    const { env } = process;
    const binDir = this.#binDirs.get(source);
    const { path } = await findTool('pg_restore', major, { binDir, env, signal, neededBy: 'the archive' });
    return { pgRestore: path, env, signal };
  }
}

function unread(format: ArchiveFormat): BackupError {
  return new BackupError('TOOL_MISSING', `this version of cofre does not read the ${format} format`, {
    hint: 'Use the version of cofre that wrote the archive, or a newer one.',
  });
}
