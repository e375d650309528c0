import { lstat, realpath } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { type ApiParts, assertReady } from './compose-api-parts.ts';
import { beginAsked } from './compose-api-runs.ts';
import type { RestoreTargetConfig } from './config/config.ts';
import { BackupError } from './domain/errors.ts';
import { RESTORE_TASK } from './domain/journal-entry.ts';
import type { Manifest } from './domain/manifest.ts';
import { restore } from './engine/restore.ts';
import type { DatabaseOrigin } from './engine/restore-request.ts';
import type { Operations } from './http/api/operations.ts';

/** A restore into one of the configured targets, beside the scheduled runs. */
export function startRestore(parts: ApiParts): Operations['startRestore'] {
  return async (filename, { target, as, database, ...wish }, actor) => {
    assertReady(parts);
    const { context } = parts.app;
    const manifest = await context.catalogue.read(filename);
    const to = await placeOf(parts, targetNamed(parts, target), manifest, as);
    const flags = { ...database, spared: databasesOf(parts) };
    return beginAsked(parts, RESTORE_TASK, actor, (run, signal, onProgress) => {
      const request = {
        filename,
        to,
        run,
        trigger: 'api' as const,
        actor,
        onProgress,
        database: flags,
        ...wish,
      };
      return restore(context, request, signal);
    });
  };
}

function targetNamed({ config }: ApiParts, name: string): RestoreTargetConfig {
  const { restoreTargets } = config().http;
  const target = restoreTargets.find((known) => known.name === name);
  if (target !== undefined) return target;
  const known = restoreTargets.map((each) => each.name).join(', ');
  // What is not the name of a target may be a URI with a password: it is not repeated.
  throw new BackupError('TARGET_REFUSED', '`to` is not the name of a configured target', {
    path: 'to',
    hint: `A restore over HTTP goes to a target of \`http.restoreTargets\` (${known || 'there is none yet'}), never to any other place; \`cofre restore\` does.`,
  });
}

/** Throws USAGE when the target is not for archives of this type, TARGET_REFUSED for a directory that is not its own. */
async function placeOf(
  parts: ApiParts,
  target: RestoreTargetConfig,
  { type, source, timestamp }: Manifest,
  as?: string,
): Promise<string> {
  if ('url' in target !== (type === 'database')) {
    const [is, wants] = type === 'database' ? ['a database', 'url'] : ['files', 'directory'];
    throw new BackupError('USAGE', `an archive of ${is} is restored to a target with \`${wants}\``, {
      path: 'to',
      hint: 'Name another target.',
    });
  }
  if (!('directory' in target)) return as === undefined ? target.url : withDatabase(target.url, as);
  const name = as ?? `${source}_${timestamp}`;
  const place = join(target.directory, name);
  await refuseLink(place);
  await refuseSourceDirectories(parts, join(await real(target.directory), name));
  return place;
}

/** A parameter overrides whatever else of the URI names a database. */
export function withDatabase(uri: string, database: string): string {
  const separator = uri.includes('?') ? (uri.endsWith('?') ? '' : '&') : '?';
  return `${uri}${separator}dbname=${encodeURIComponent(database)}`;
}

/** A link leads where the configuration has not said. */
async function refuseLink(place: string): Promise<void> {
  const found = await lstat(place).catch(() => undefined);
  if (found?.isSymbolicLink() !== true) return;
  throw new BackupError(
    'TARGET_REFUSED',
    `${place} is a symbolic link, which a restore over HTTP does not follow`,
    {
      path: place,
      hint: 'Give the directory another name with `as`.',
    },
  );
}

/** Throws TARGET_REFUSED where the configuration reads what it backs up: that is restored at the machine only. */
async function refuseSourceDirectories({ config }: ApiParts, place: string): Promise<void> {
  for (const source of config().jobs.flatMap(({ sources }) => sources)) {
    if (source.type !== 'files') continue;
    for (const { path } of source.directories) {
      if (!holds(place, await real(path))) continue;
      throw new BackupError(
        'TARGET_REFUSED',
        `${place} is, or holds, what the source ${source.name} backs up`,
        {
          path: place,
          hint: 'Give the directory another name with `as`; `cofre restore` restores into this one all the same.',
        },
      );
    }
  }
}

function holds(directory: string, path: string): boolean {
  const [first] = relative(directory, path).split('/');
  return first !== '..';
}

/** Without links, as far as it is there. */
async function real(path: string): Promise<string> {
  return await realpath(path).catch(() => path);
}

/** The databases that are backed up, as their newest archives know them. */
function databasesOf({ app, jobs }: ApiParts): DatabaseOrigin[] {
  const sources = jobs().flatMap(({ job }) => job.sources);
  return sources.flatMap(({ name }) => {
    const newest = app.context.catalogue.series(name).at(-1);
    return newest?.database === undefined ? [] : [newest];
  });
}
