import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const SERVER_PROGRAMS = ['initdb', 'pg_ctl', 'postgres'] as const;

/** Directories with one installation per major: Debian, RPM, Homebrew (Apple, Intel, Linux). */
const VERSIONED: readonly { parent: string; name: RegExp; bin: string }[] = [
  { parent: '/usr/lib/postgresql', name: /^(\d+)$/, bin: 'bin' },
  { parent: '/usr', name: /^pgsql-(\d+)$/, bin: 'bin' },
  { parent: '/opt/homebrew/opt', name: /^postgresql@(\d+)$/, bin: 'bin' },
  { parent: '/usr/local/opt', name: /^postgresql@(\d+)$/, bin: 'bin' },
  { parent: '/home/linuxbrew/.linuxbrew/opt', name: /^postgresql@(\d+)$/, bin: 'bin' },
];

/**
 * The directory of PostgreSQL's server programs: of the newest major in the versioned directories, else
 * the first on PATH that holds them all. `undefined` where there is none.
 */
export function findServerPrograms(): string | undefined {
  const versioned = VERSIONED.flatMap(({ parent, name, bin }) =>
    entriesOf(parent).flatMap((entry) => {
      const major = name.exec(entry)?.[1];
      return major === undefined ? [] : [{ major: Number(major), dir: join(parent, entry, bin) }];
    }),
  );
  versioned.sort((a, b) => b.major - a.major);
  const onPath = (process.env['PATH'] ?? '').split(delimiter).filter((dir) => dir !== '');
  return [...versioned.map(({ dir }) => dir), ...onPath].find((dir) =>
    SERVER_PROGRAMS.every((program) => isExecutable(join(dir, program))),
  );
}

/** Whether a program is on PATH. */
export function isOnPath(program: string): boolean {
  const dirs = (process.env['PATH'] ?? '').split(delimiter);
  return dirs.some((dir) => dir !== '' && isExecutable(join(dir, program)));
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function entriesOf(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
