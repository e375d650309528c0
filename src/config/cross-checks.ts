/**
 * What no single value shows: names that must differ, keys that go with another key's value only. Works on the file as it was read, whatever else is
 * wrong with it, so that these faults are found together with all others.
 */
import { basename, resolve } from 'node:path';
import { type ConfigFault, formatPath, type KeyPath, show } from './faults.ts';

const SINGLE_STREAM: readonly unknown[] = ['plain', 'custom'];

export interface RawSource {
  path: KeyPath;
  source: Record<string, unknown>;
}

/** The sources of all jobs, as far as the file has the right shape. */
export function rawSources(root: unknown): RawSource[] {
  const jobs = asRecord(asRecord(root).jobs);
  return Object.entries(jobs).flatMap(([job, value]) => {
    const { sources } = asRecord(value);
    if (!Array.isArray(sources)) return [];
    return sources.map((source: unknown, index) => ({
      path: ['jobs', job, 'sources', index],
      source: asRecord(source),
    }));
  });
}

/** The server of drills, which has a `url` like a source. */
export function rawScratch(root: unknown): RawSource {
  return { path: ['scratch'], source: asRecord(asRecord(root).scratch) };
}

/** The tokens and restore targets of the API, as far as the file has the right shape. */
export function rawHttp(root: unknown): { tokens: RawSource[]; restoreTargets: RawSource[] } {
  const { tokens, restoreTargets } = asRecord(asRecord(root).http);
  return {
    tokens: entries(['http', 'tokens'], tokens),
    restoreTargets: entries(['http', 'restoreTargets'], restoreTargets),
  };
}

/** The notifiers, as far as the file has the right shape. */
export function rawNotify(root: unknown): RawSource[] {
  return entries(['notify'], asRecord(root).notify);
}

function entries(path: KeyPath, list: unknown): RawSource[] {
  if (!Array.isArray(list)) return [];
  return list.map((entry: unknown, index) => ({ path: [...path, index], source: asRecord(entry) }));
}

/** Source names used twice, member names used twice within a files source, and parallel dumps of one stream. */
export function crossCheck(root: unknown, directory: string): ConfigFault[] {
  const sources = rawSources(root);
  return [
    ...repeatedSourceNames(sources),
    ...sources.flatMap((source) => [...memberNames(source, directory), ...uselessDumpJobs(source)]),
  ];
}

/** Only the directory format has a file for each table. */
function uselessDumpJobs({ path, source }: RawSource): ConfigFault[] {
  const { type, format = 'plain', dumpJobs } = source;
  if (type !== 'postgres' || dumpJobs === undefined || !SINGLE_STREAM.includes(format)) return [];
  return [
    {
      path: formatPath([...path, 'dumpJobs']),
      received: show(dumpJobs),
      allowed: 'nothing, or "format": "directory" beside it',
      message: 'only a dump in the directory format has several jobs',
    },
  ];
}

function repeatedSourceNames(sources: readonly RawSource[]): ConfigFault[] {
  const firstUse = new Map<string, KeyPath>();
  const faults: ConfigFault[] = [];
  for (const { path, source } of sources) {
    if (typeof source.name !== 'string') continue;
    const first = firstUse.get(source.name);
    if (first === undefined) firstUse.set(source.name, path);
    else {
      faults.push({
        path: formatPath([...path, 'name']),
        received: show(source.name),
        allowed: 'a name that no other source of any job has',
        message: `already the name of ${formatPath(first)}`,
      });
    }
  }
  return faults;
}

function memberNames({ path, source }: RawSource, directory: string): ConfigFault[] {
  if (source.type !== 'files' || !Array.isArray(source.directories)) return [];
  const firstUse = new Map<string, KeyPath>();
  return source.directories.flatMap((entry: unknown, index) => {
    const at = [...path, 'directories', index];
    const name = memberName(entry, directory);
    if (name === undefined) return [];
    const first = firstUse.get(name);
    if (first === undefined) firstUse.set(name, at);
    if (first === undefined && name !== '') return [];
    return {
      path: formatPath(at),
      received: typeof entry === 'string' ? show(entry) : `"as": ${show(name)}`,
      allowed: '{"path": …, "as": …} with a name of its own',
      message:
        name === ''
          ? 'this directory has no name to stand under in the archive'
          : `would stand under the same name in the archive as ${first === undefined ? '' : formatPath(first)}`,
    };
  });
}

function memberName(entry: unknown, directory: string): string | undefined {
  const { path, as } = typeof entry === 'string' ? { path: entry, as: undefined } : asRecord(entry);
  if (typeof as === 'string') return as;
  return typeof path === 'string' ? memberNameOf(path, directory) : undefined;
}

/** The name a directory has in the archive; empty for `/`. */
export function memberNameOf(path: string, directory: string): string {
  return basename(resolve(directory, path));
}

export function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
