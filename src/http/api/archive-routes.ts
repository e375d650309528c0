import * as z from 'zod/mini';
import { VERDICTS, VERIFY_LEVELS } from '../../domain/manifest.ts';
import type { Operations } from './operations.ts';
import { filenameParams, waitQuery } from './parameters.ts';
import { type ApiRoute, defineRoute } from './route.ts';
import { runLocation } from './run-routes.ts';
import { acceptedSchema, backupSchema, contentsSchema, success } from './schemas.ts';

const AT = '/api/v1/backups/:filename';

/** One archive: looking at it, checking it, keeping it, deleting it. */
export function archiveRoutes(operations: Operations): ApiRoute[] {
  return [
    defineRoute({
      method: 'GET',
      path: AT,
      operationId: 'getBackup',
      summary: 'What is recorded of one archive.',
      scope: 'read',
      params: filenameParams,
      answers: {
        200: {
          description: 'Its manifest, without the contents.',
          schema: z.object({ success, backup: backupSchema }),
        },
      },
      faults: ['ARCHIVE_UNKNOWN', 'MANIFEST_CORRUPT'],
      work: async ({ params }) => {
        const { contents: _, ...backup } = await operations.backup(params.filename);
        return { body: { success: true, backup } };
      },
    }),
    defineRoute({
      method: 'GET',
      path: `${AT}/contents`,
      operationId: 'getContents',
      summary: 'What one archive holds: tables with their rows, or entries.',
      scope: 'read',
      params: filenameParams,
      answers: {
        200: {
          description: 'The contents, as they were seen while it was written.',
          schema: z.object({ success, filename: z.string(), contents: contentsSchema }),
        },
      },
      faults: ['ARCHIVE_UNKNOWN', 'MANIFEST_CORRUPT'],
      work: async ({ params: { filename } }) => {
        const { contents } = await operations.backup(filename);
        return { body: { success: true, filename, contents } };
      },
    }),
    defineRoute({
      method: 'DELETE',
      path: AT,
      operationId: 'deleteBackup',
      summary: 'Deletes one archive; only a pin refuses.',
      scope: 'delete',
      params: filenameParams,
      answers: {
        200: { description: 'It is gone.', schema: z.object({ success, filename: z.string() }) },
      },
      faults: ['ARCHIVE_UNKNOWN', 'ARCHIVE_PINNED', 'LOCK_BUSY'],
      work: async ({ params: { filename }, caller }) => {
        await operations.delete(filename, caller.name);
        return { body: { success: true, filename } };
      },
    }),
    defineRoute({
      method: 'POST',
      path: `${AT}/verify`,
      operationId: 'verifyBackup',
      summary: 'Reads one archive again and compares it with what was written.',
      scope: 'operate',
      params: filenameParams,
      body: z.strictObject({ level: z._default(z.enum(VERIFY_LEVELS), 'contents') }),
      answers: {
        200: {
          description: 'The check was made; `valid` is what it found.',
          schema: z.object({
            success,
            filename: z.string(),
            valid: z.boolean(),
            level: z.enum(VERIFY_LEVELS),
            detail: z.string(),
          }),
        },
      },
      faults: ['ARCHIVE_UNKNOWN', 'MANIFEST_CORRUPT', 'JOB_BUSY', 'CANCELLED', 'TOOL_MISSING'],
      work: async ({ params: { filename }, body: { level }, caller }) => {
        const { valid, detail } = await operations.verify(filename, level, caller.name);
        return { body: { success: true, filename, valid, level, detail } };
      },
    }),
    pinRoute(operations, 'pin'),
    pinRoute(operations, 'unpin'),
    drillRoute(operations),
  ];
}

function pinRoute(operations: Operations, verb: 'pin' | 'unpin'): ApiRoute {
  const pinned = verb === 'pin';
  return defineRoute({
    method: 'POST',
    path: `${AT}/${verb}`,
    operationId: `${verb}Backup`,
    summary: pinned
      ? 'Exempts one archive from pruning and deletion.'
      : 'Lets retention decide about one archive again.',
    scope: 'operate',
    params: filenameParams,
    answers: {
      200: {
        description: 'How it is now.',
        schema: z.object({ success, filename: z.string(), pinned: z.boolean() }),
      },
    },
    faults: ['ARCHIVE_UNKNOWN', 'MANIFEST_CORRUPT', 'LOCK_BUSY'],
    work: async ({ params: { filename }, caller }) => {
      await operations.setPinned(filename, pinned, caller.name);
      return { body: { success: true, filename, pinned } };
    },
  });
}

function drillRoute(operations: Operations): ApiRoute {
  return defineRoute({
    method: 'POST',
    path: `${AT}/drill`,
    operationId: 'drillBackup',
    summary: 'Proves that one archive restores, by restoring it into something thrown away.',
    scope: 'operate',
    params: filenameParams,
    query: waitQuery,
    answers: {
      202: {
        description: 'The drill has begun, or waits for its turn.',
        schema: acceptedSchema,
        headers: { Location: 'Where the run can be asked for.' },
      },
      200: {
        description: 'With `wait=true`: the drill was made; `verdict` is what it found.',
        schema: z.object({
          success,
          filename: z.string(),
          verdict: z.enum(VERDICTS),
          detail: z.string(),
          duration_ms: z.number(),
        }),
      },
    },
    faults: ['ARCHIVE_UNKNOWN', 'MANIFEST_CORRUPT', 'JOB_BUSY', 'CANCELLED'],
    work: async ({ params: { filename }, query, caller }) => {
      const { run, done } = await operations.startDrill(filename, caller.name);
      if (query.wait) return { body: { success: true, ...(await done) } };
      return { status: 202, headers: runLocation(run), body: { success: true, run } };
    },
  });
}
