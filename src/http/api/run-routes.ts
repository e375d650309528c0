import * as z from 'zod/mini';
import { OUTCOMES } from '../../domain/manifest.ts';
import type { RunView } from '../../domain/run-view.ts';
import { described, optional } from '../../lib/described.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import type { Operations } from './operations.ts';
import { cursor, limit } from './parameters.ts';
import { type ApiRoute, defineRoute } from './route.ts';
import { runSchema, success } from './schemas.ts';

const AT = '/api/v1/runs';
const LIMIT_MOST = 500;
const LIMIT_USUAL = 50;

/** Jobs with what comes, and runs with what was. */
export function runRoutes(operations: Operations): ApiRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/jobs',
      operationId: 'listJobs',
      summary: 'The jobs with their schedules, next runs and last outcomes.',
      scope: 'read',
      answers: {
        200: {
          description: 'Every job of the configuration.',
          schema: z.object({
            success,
            jobs: z.array(
              z.object({
                job: z.string(),
                enabled: z.boolean(),
                schedule: z.string(),
                timezone: z.string(),
                sources: z.array(z.object({ name: z.string(), type: z.enum(['database', 'files']) })),
                next: z.array(z.iso.datetime()),
                last_success: z.nullable(z.iso.datetime()),
                last_outcome: z.nullable(z.enum(OUTCOMES)),
                last_run_at: z.nullable(z.iso.datetime()),
                overdue: z.boolean(),
                running: z.boolean(),
              }),
            ),
            count: z.int(),
          }),
        },
      },
      faults: [],
      work: async () => {
        const jobs = await operations.jobs();
        return { body: { success: true, jobs, count: jobs.length } };
      },
    }),
    defineRoute({
      method: 'GET',
      path: AT,
      operationId: 'listRuns',
      summary: 'The runs of jobs and maintenance, the latest first, a page at a time.',
      scope: 'read',
      query: z.strictObject({
        job: optional(
          z
            .string()
            .check(
              z.regex(/^@?[a-z0-9][a-z0-9._-]{0,80}$/, 'the name of a job, or of a task such as @prune'),
            ),
          'Only those of this job, or of a task such as `@prune`.',
        ),
        outcome: optional(z.enum(OUTCOMES), 'Only those that ended so.'),
        limit: limit(LIMIT_MOST, LIMIT_USUAL),
        cursor,
      }),
      answers: {
        200: {
          description: 'A page of runs.',
          schema: z.object({
            success,
            runs: z.array(runSchema),
            count: described(z.int(), 'Of this page.'),
            next_cursor: described(z.nullable(z.string()), 'Null: this is the last page.'),
          }),
        },
      },
      faults: [],
      work: async ({ query: { job, outcome, limit: most, cursor: from } }) => {
        const before = from === undefined ? undefined : Number(decodeCursor(from, /^\d{1,16}$/));
        const { runs, next } = await operations.runs({ job, outcome }, most, before);
        const next_cursor = next === undefined ? null : encodeCursor(String(next));
        return { body: { success: true, runs, count: runs.length, next_cursor } };
      },
    }),
    defineRoute({
      method: 'GET',
      path: `${AT}/:id`,
      operationId: 'getRun',
      summary: 'One run: whether it waits, how far it is, or how it ended.',
      scope: 'read',
      params: z.strictObject({
        id: described(z.string().check(z.minLength(1), z.maxLength(100)), 'The id of a run.'),
      }),
      answers: { 200: { description: 'The run.', schema: z.object({ success, run: runSchema }) } },
      faults: ['RUN_UNKNOWN'],
      work: async ({ params }) => ({ body: { success: true, run: await operations.run(params.id) } }),
    }),
  ];
}

/** The header that says where a run can be asked for. */
export function runLocation(run: RunView | undefined): Record<string, string> {
  return run === undefined ? {} : { location: `${AT}/${run.run}` };
}
