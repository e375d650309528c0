import type { Config } from './config/config.ts';
import { BackupError } from './domain/errors.ts';
import type { Inspectable, Inspector } from './domain/ports.ts';
import { CustomDumpInspector } from './inspect/custom-dump.ts';
import { PlainDumpInspector } from './inspect/plain-dump.ts';
import { TarTreeInspector } from './inspect/tar-tree.ts';
import { findTool } from './sources/postgres/tools.ts';

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
        sources.flatMap((source) =>
          source.type === 'postgres' && source.binDir !== undefined
            ? [[source.name, source.binDir] as const]
            : [],
        ),
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
        return await this.#openCustom(archive, signal);
      case 'directory':
        throw new BackupError('TOOL_MISSING', 'this version of cofre does not read the directory format', {
          hint: 'Use the version of cofre that wrote the archive, or a newer one.',
        });
      default:
        return archive.format satisfies never;
    }
  }

  async #openCustom({ source, tool_version = '' }: Inspectable, signal: AbortSignal): Promise<Inspector> {
    const major = Number(/\d+/.exec(tool_version)?.[0] ?? 0);
    const { env } = process;
    const binDir = this.#binDirs.get(source);
    const { path } = await findTool('pg_restore', major, { binDir, env, signal, neededBy: 'the archive' });
    return new CustomDumpInspector({ pgRestore: path, env, signal });
  }
}
