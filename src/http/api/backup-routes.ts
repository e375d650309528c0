import * as z from 'zod/mini';
import { type Outcome, OUTCOMES } from '../../domain/manifest.ts';
import type { RunResult } from '../../engine/run-request.ts';
import { described, withDefault } from '../../lib/described.ts';
import { pageOf } from './backup-page.ts';
import type { Operations } from './operations.ts';
import { cursor, jobName, limit, source, type, waitQuery } from './parameters.ts';
import { type ApiRoute, defineRoute } from './route.ts';
import { runLocation } from './run-routes.ts';
import { backupSchema, manifestSchema, runErrorSchema, runSchema, success } from './schemas.ts';

const LIMIT_MOST = 1000;
const LIMIT_USUAL = 100;

const DONE: ReadonlySet<Outcome> = new Set<Outcome>(['succeeded', 'incomplete']);

/** Listing backups and taking them. */
export function backupRoutes(operations: Operations): ApiRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/backups',
      operationId: 'listBackups',
      summary: 'The backups, oldest first unless `order=newest`, a page at a time.',
      scope: 'read',
      query: z.strictObject({
        type,
        source,
        order: withDefault(z.enum(['oldest', 'newest']), 'oldest', 'Which come first.'),
        limit: limit(LIMIT_MOST, LIMIT_USUAL),
        cursor,
      }),
      answers: {
        200: {
          description: 'A page of manifests without their contents.',
          schema: z.object({
            success,
            backups: z.array(backupSchema),
            count: described(z.int(), 'Of this page.'),
            total: described(z.int(), 'Of all pages.'),
            next_cursor: described(z.nullable(z.string()), 'Null: this is the last page.'),
          }),
        },
      },
      faults: [],
      work: async ({ query }) => {
        const { page, total, next } = pageOf(operations.backups(), query);
        const body = { success: true, backups: page, count: page.length, total, next_cursor: next };
        return { body };
      },
    }),
    defineRoute({
      method: 'POST',
      path: '/api/v1/backups',
      operationId: 'createBackup',
      summary: 'Takes a full backup now: of one job, or of every enabled one.',
      scope: 'operate',
      query: waitQuery,
      body: z.strictObject({ job: z.optional(jobName) }),
      answers: {
        202: {
          description: 'The runs have begun, or wait for their turn; `run` is the first of them.',
          schema: z.object({ success, run: runSchema, runs: z.array(runSchema) }),
          headers: { Location: 'Where the first run can be asked for.' },
        },
        200: {
          description: 'With `wait=true`: how the runs ended. `success` is whether every archive was made.',
          schema: z.object({
            success: z.boolean(),
            runs: z.array(
              z.object({
                job: z.string(),
                run: z.string(),
                outcome: z.enum(OUTCOMES),
                archives: z.array(manifestSchema),
                errors: z.array(runErrorSchema),
              }),
            ),
          }),
        },
      },
      faults: ['JOB_UNKNOWN', 'JOB_BUSY', 'CANCELLED'],
      work: async ({ query, body, caller }) => {
        const begun = await operations.startBackups(body.job, caller.name);
        if (query.wait) {
          const runs = await Promise.all(begun.map(({ done }) => done));
          return { body: { success: runs.every(isDone), runs } };
        }
        const runs = begun.map(({ run }) => run);
        const [run] = runs;
        return { status: 202, headers: runLocation(run), body: { success: true, run, runs } };
      },
    }),
  ];
}

/** Whether a run has made all of its archives, as far as their sources could be read. */
export function isDone({ outcome }: RunResult): boolean {
  return DONE.has(outcome);
}
