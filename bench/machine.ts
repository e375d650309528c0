import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { findServerPrograms } from '../tools/server-programs.ts';
import { type Command, measure } from './measure.ts';

const ROOT = join(import.meta.dirname, '..');
const ABSENT = 'not installed';

/** What it ran on: names of things, and what they are. */
export type Machine = Readonly<Record<string, string>>;

/** @param directory Where the bench works. */
export async function describeMachine(directory: string, signal: AbortSignal): Promise<Machine> {
  const version = (...command: Command) => versionOf(command, signal);
  const server = findServerPrograms();
  return {
    cofre: await describeProgram(signal),
    processor: `${cpus()[0]?.model.trim() ?? 'unknown'}, ${availableParallelism()} cores`,
    memory: `${(totalmem() / 2 ** 30).toFixed(1)} GiB`,
    kernel: `Linux ${release()}`,
    'file system': ((await lines(['df', '--output=fstype', directory], signal)).at(1) ?? 'unknown').trim(),
    'load at the start': loadavg()[0]?.toFixed(2) ?? 'unknown',
    Node: process.version,
    PostgreSQL: server === undefined ? ABSENT : await version(join(server, 'postgres'), '--version'),
    zstd: await version('zstd', '--version'),
    gzip: await version('gzip', '--version'),
    pigz: await version('pigz', '--version'),
    tar: await version('tar', '--version'),
    restic: await version('restic', 'version'),
  };
}

async function describeProgram(signal: AbortSignal): Promise<string> {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  const git = (...args: string[]) => lines(['git', '-C', ROOT, ...args], signal);
  const [commit = ''] = await git('rev-parse', '--short', 'HEAD');
  if (commit === '') return version;
  const [changed = ''] = await git('status', '--porcelain', '--', 'src', 'package-lock.json');
  return `${version}, commit ${commit}${changed === '' ? '' : ' with changes'}`;
}

async function versionOf(command: Command, signal: AbortSignal): Promise<string> {
  const [line = ''] = await lines(command, signal);
  if (line === '') return ABSENT;
  return /\d+(?:\.\d+)+/.exec(line)?.[0] ?? line;
}

/** None when the command cannot be run. */
async function lines(command: Command, signal: AbortSignal): Promise<string[]> {
  try {
    const { stdout, stderr } = await measure(command, { signal });
    // pigz tells its version on stderr.
    return `${stdout}${stderr}`.trim().split('\n');
  } catch {
    signal.throwIfAborted();
    return [];
  }
}
