import { type ApiParts, assertReady } from './compose-api-parts.ts';
import { startRestore } from './compose-api-restore.ts';
import { beginAsked, startBackups } from './compose-api-runs.ts';
import { policiesOf } from './compose-jobs.ts';
import { BackupError } from './domain/errors.ts';
import { DRILL_TASK } from './domain/journal-entry.ts';
import { deleteArchive } from './engine/delete.ts';
import { drill } from './engine/drill.ts';
import { nextRuns } from './engine/next-runs.ts';
import { prune } from './engine/prune.ts';
import { findRun, listRuns } from './engine/run-history.ts';
import { verifyArchive } from './engine/verify.ts';
import { createApi } from './http/api/api.ts';
import { EventStreams } from './http/api/event-streams.ts';
import type { Operations } from './http/api/operations.ts';
import type { ProtectedRoutes } from './http/server.ts';
import { NEVER } from './lib/abort.ts';
import { VERSION } from './version.ts';

/** How many coming runs are told. */
const NEXT_RUNS = 5;

/** The routes of the API over a daemon. */
export function composeApi(parts: ApiParts): ProtectedRoutes {
  const { app, board } = parts;
  const streams = new EventStreams(board, { lookAround: () => app.context.journal.refresh() });
  return createApi(composeOperations(parts), streams, VERSION);
}

export function composeOperations(parts: ApiParts): Operations {
  const { app, log, board, scheduler, asked, jobs, config } = parts;
  const { context, status } = app;
  const { catalogue } = context;
  return {
    board,
    startBackups: startBackups(parts),
    startRestore: startRestore(parts),
    backups: () => catalogue.list(),
    backup: (filename) => catalogue.read(filename),
    open: async ({ type, filename, size }, range) => {
      const key = `${type}/${filename}` as const;
      const stored = await context.store.stat(key);
      if (stored !== undefined && stored.size !== size) {
        throw new BackupError(
          'ARCHIVE_CORRUPT',
          `${filename} has ${stored.size} bytes, ${size} were written`,
          {
            path: filename,
            hint: 'Take another archive, and look for what changed this one.',
          },
        );
      }
      return context.store.get(key, NEVER, range);
    },
    verify: async (filename, level, actor) => {
      assertReady(parts);
      await catalogue.read(filename);
      const scope = { job: '@verify', run: '', actor };
      return await asked.perform((signal) => verifyArchive(context, filename, level, scope, signal));
    },
    setPinned: async (filename, pinned, actor) => {
      assertReady(parts);
      await catalogue.update(filename, (manifest) => ({ ...manifest, pinned }), NEVER);
      log.info({ step: 'http', actor, filename }, `${filename} is ${pinned ? 'pinned' : 'no longer pinned'}`);
    },
    delete: async (filename, actor) => {
      assertReady(parts);
      await deleteArchive(context, filename, { trigger: 'api', actor }, NEVER);
      log.info({ step: 'http', actor, filename }, `${filename} is deleted`);
    },
    prune: async (wish, actor) => {
      assertReady(parts);
      const policyOf = policiesOf(config());
      const request = { ...wish, policyOf, trigger: 'api' as const, actor };
      return await asked.perform((signal) => prune(context, request, signal));
    },
    startDrill: async (filename, actor) => {
      assertReady(parts);
      await catalogue.read(filename);
      return beginAsked(parts, DRILL_TASK, actor, async (run, signal, onProgress) => {
        const request = { task: DRILL_TASK, run, filenames: [filename], trigger: 'api' as const, actor };
        const [result] = await drill(
          context,
          { ...request, onProgress: (_, progress) => onProgress(progress) },
          signal,
        );
        if (result === undefined) throw new BackupError('INTERNAL', `no result of the drill of ${filename}`);
        return result;
      });
    },
    jobs: async () => {
      const now = context.clock.now();
      // A reload while the report is made must not lend a job the figures of another.
      const all = jobs();
      const report = await status.health(all, scheduler.running());
      return all.map((scheduled, index) => {
        const { name, enabled, schedule, timezone, sources } = scheduled.job;
        const {
          last_success = null,
          last_outcome = null,
          last_run_at = null,
          overdue = false,
        } = report.jobs[index] ?? {};
        return {
          job: name,
          enabled,
          schedule,
          timezone,
          sources: sources.map((source) => ({ name: source.name, type: source.type })),
          next: nextRuns(scheduled, now, NEXT_RUNS).map((at) => at.toISOString()),
          last_success,
          last_outcome,
          last_run_at,
          overdue,
          running: scheduler.running().has(name),
        };
      });
    },
    runs: (filter, limit, before) => listRuns(context, board, filter, limit, before),
    run: (run) => findRun(context, board, run),
  };
}
