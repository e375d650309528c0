import { relative } from 'node:path';
import { PERIODS } from '../domain/retention-buckets.ts';
import type { Config } from './config.ts';
import { formatPath, valueAt } from './faults.ts';

/** What is allowed but probably not meant, one line each. `root` is the file as it was read. */
export function warningsOf(config: Config, root: unknown): string[] {
  return [
    ...idle(config),
    ...hiddenDays(config, root),
    ...archivesOfArchives(config),
    ...tokensInClear(config),
  ];
}

function idle({ jobs }: Config): string[] {
  return jobs.length === 0 ? ['jobs: there is none, so nothing is backed up'] : [];
}

/** Whoever writes `daily: 7` alone may not expect that the default of `days` keeps more. */
function hiddenDays({ jobs, retention }: Config, root: unknown): string[] {
  if (valueAt(root, ['retention', 'days']) !== undefined) return [];
  const consequence = `\`days\` is not set, so every archive of the last ${retention.policy.days} days is kept, whatever the other rules say; set it to that, or to 0`;
  return [['retention'], ...jobs.map((job) => ['jobs', job.name, 'retention'])]
    .filter((path) => valueAt(root, [...path, 'days']) === undefined)
    .filter((path) => PERIODS.some((period) => Number(valueAt(root, [...path, period]) ?? 0) > 0))
    .map((path) => `${formatPath(path)}: ${consequence}`);
}

function archivesOfArchives({ jobs, location }: Config): string[] {
  return jobs.flatMap((job) =>
    job.sources.flatMap((source, sourceIndex) => {
      if (source.type !== 'files') return [];
      return source.directories.flatMap(({ path }, index) => {
        if (!contains(path, location)) return [];
        const at = formatPath(['jobs', job.name, 'sources', sourceIndex, 'directories', index]);
        return path === location
          ? `${at}: it is the location itself, which is never backed up, so that this source fails`
          : `${at}: the location ${location} lies in it and is left out`;
      });
    }),
  );
}

function tokensInClear({ http: { host, socket, tls, tokens } }: Config): string[] {
  const isLocal = socket !== undefined || /^(?:localhost|127\.[\d.]+|::1|\[::1\])$/i.test(host);
  if (isLocal || tls !== undefined || tokens.length === 0) return [];
  return [
    `http.host: tokens pass over the network in clear text on ${host}; set \`http.tls\`, or listen on 127.0.0.1 or \`http.socket\` behind a proxy that has TLS`,
  ];
}

/** Whether a directory is another, or lies in it; both absolute. */
function contains(directory: string, other: string): boolean {
  const path = relative(directory, other);
  return path !== '..' && !path.startsWith('../');
}
