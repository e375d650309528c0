import { access, constants, readdir, realpath } from 'node:fs/promises';
import { basename, delimiter, dirname, join } from 'node:path';
import { BackupError } from '../domain/errors.ts';
import { runChild } from '../lib/child.ts';

/** Debian's front of all versions: it chooses by its own configuration, not by the server that is asked. */
const DEBIAN_WRAPPER = 'pg_wrapper';

/** Where packagers put each major version: Debian, RPM, Homebrew on Apple silicon, on Intel, on Linux. */
const VERSIONED_DIRECTORIES = [
  '/usr/lib/postgresql/*/bin',
  '/usr/pgsql-*/bin',
  '/opt/homebrew/opt/postgresql@*/bin',
  '/usr/local/opt/postgresql@*/bin',
  '/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin',
] as const;

export interface Tool {
  /** Absolute. */
  readonly path: string;
  readonly major: number;
  /** As the program says it: `15.18 (Debian 15.18-0+deb12u1)`. */
  readonly version: string;
}

export interface FindToolOptions {
  /** Look in this directory and nowhere else. */
  binDir?: string | undefined;
  env: NodeJS.ProcessEnv;
  signal: AbortSignal;
  /** Who asks for that version, for the message. */
  neededBy?: string;
  /** Patterns with one `*` that stands for the major version. */
  versionedDirectories?: readonly string[];
}

/**
 * Finds one of PostgreSQL's client programs of at least a major version: the one on PATH when it is new
 * enough, else the oldest that is in the versioned directories.
 *
 * Throws TOOL_MISSING when there is none at all, SERVER_TOO_NEW when all are older, naming the newest.
 */
export async function findTool(name: string, minMajor: number, options: FindToolOptions): Promise<Tool> {
  let newest: Tool | undefined;
  for await (const path of candidates(name, options)) {
    const tool = await askVersion(path, options);
    if (tool === undefined) continue;
    if (tool.major >= minMajor) return tool;
    if (newest === undefined || tool.major > newest.major) newest = tool;
  }
  const where = options.binDir === undefined ? '' : ` in ${options.binDir}`;
  const hint = installHint(minMajor, options.binDir);
  if (newest === undefined) {
    throw new BackupError('TOOL_MISSING', `${name} was not found${where}`, { path: name, hint });
  }
  const needed = options.neededBy ?? 'this';
  throw new BackupError(
    'SERVER_TOO_NEW',
    `${needed} needs ${name} ${minMajor} or newer; the newest found${where} is ${newest.version}, ${newest.path}`,
    { path: newest.path, hint },
  );
}

/** Paths worth trying, best first. A PATH program that is too old yields to the versioned directories. */
async function* candidates(name: string, options: FindToolOptions): AsyncGenerator<string> {
  if (options.binDir !== undefined) {
    if (await isExecutable(join(options.binDir, name))) yield join(options.binDir, name);
    return;
  }
  for (const directory of (options.env['PATH'] ?? '').split(delimiter)) {
    const path = join(directory, name);
    if (directory === '' || !(await isExecutable(path))) continue;
    const real = await realpath(path);
    if (basename(real) === DEBIAN_WRAPPER) continue;
    yield path;
    break;
  }
  for (const directory of await versionedDirectories(options.versionedDirectories ?? VERSIONED_DIRECTORIES)) {
    if (await isExecutable(join(directory, name))) yield join(directory, name);
  }
}

/** The directories that exist, oldest version first. */
async function versionedDirectories(patterns: readonly string[]): Promise<string[]> {
  const found: { major: number; path: string }[] = [];
  for (const pattern of patterns) {
    const [before = '', after = ''] = pattern.split('*');
    const parent = before.endsWith('/') ? before.slice(0, -1) : dirname(before);
    const prefix = before.endsWith('/') ? '' : basename(before);
    const names = await readdir(parent).catch(() => []);
    for (const name of names) {
      const version = name.startsWith(prefix) ? name.slice(prefix.length) : '';
      if (/^\d+$/.test(version)) found.push({ major: Number(version), path: join(parent, name) + after });
    }
  }
  return found.sort((a, b) => a.major - b.major).map(({ path }) => path);
}

/** Undefined for a program that does not run, or does not say what it is. */
async function askVersion(path: string, { env, signal }: FindToolOptions): Promise<Tool | undefined> {
  try {
    const { code, stdout } = await runChild({ command: path, args: ['--version'], env, signal });
    const match = /\([^)]+\) ((\d+)\S*.*)/.exec(stdout);
    const [, version, major] = match ?? [];
    if (code !== 0 || version === undefined) return undefined;
    return { path, major: Number(major), version: version.trim() };
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function installHint(major: number, binDir: string | undefined): string {
  const install = `Install it (Debian, Ubuntu: apt-get install postgresql-client-${major}; releases newer than the system's are in the package repository of the PostgreSQL project)`;
  return binDir === undefined
    ? `${install}, or name its directory with binDir.`
    : `${install}, or correct binDir.`;
}
