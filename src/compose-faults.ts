import type { Config, SourceConfig } from './config/config.ts';
import { BackupError } from './domain/errors.ts';
import { assertMemberNames } from './sources/files/member-names.ts';
import { assertUri } from './sources/postgres/uri.ts';

/**
 * What only the adapters know to be wrong with a source, found without loading them: it is a fault of the configuration
 * to commands that need no source, too. Throws CONFIG_INVALID with the faults of all.
 */
export function assertSources({ jobs }: Config): void {
  const faults = jobs.flatMap(({ sources }) => sources.flatMap((source) => faultOf(source) ?? []));
  if (faults.length > 0) throw allOf(faults);
}

function faultOf(source: SourceConfig): BackupError | undefined {
  try {
    assertSource(source);
    return undefined;
  } catch (error) {
    if (!(error instanceof BackupError) || error.code !== 'CONFIG_INVALID') throw error;
    return error;
  }
}

function assertSource(source: SourceConfig): void {
  switch (source.type) {
    case 'postgres':
      return assertUri(source.name, source.url);
    case 'files':
      return assertMemberNames(source.directories.map(({ path, name }) => ({ path, as: name })));
    default:
      return source satisfies never;
  }
}

/** One error with a line for each. */
function allOf(faults: readonly BackupError[]): BackupError {
  const [first] = faults;
  if (first !== undefined && faults.length === 1) return first;
  const lines = [`the configuration has ${faults.length} faults:`, ...faults.map(({ message }) => message)];
  const hints = new Set(faults.flatMap(({ hint }) => hint ?? []));
  return new BackupError('CONFIG_INVALID', lines.join('\n'), {
    hint: [...hints].join('\n  '),
    cause: first,
  });
}
