import * as z from 'zod/mini';
import { withDefault } from '../../lib/described.ts';
import type { Operations } from './operations.ts';
import { type ApiRoute, defineRoute } from './route.ts';
import { runErrorSchema } from './schemas.ts';

export function pruneRoutes(operations: Operations): ApiRoute[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/v1/prune',
      operationId: 'prune',
      summary: 'Applies the retention now, or says what it would do and why.',
      scope: 'delete',
      body: z.strictObject({
        dryRun: withDefault(z.boolean(), false, 'Only say what would be kept and removed, and why.'),
        force: withDefault(z.boolean(), false, 'Also remove more than half of a series in one go.'),
      }),
      answers: {
        200: {
          description: 'What was kept and removed; `success` is whether all of it was done.',
          schema: z.object({
            success: z.boolean(),
            removed_count: z.int(),
            decisions: z.array(
              z.object({
                filename: z.string(),
                action: z.enum(['keep', 'remove']),
                reasons: z.array(z.string()),
              }),
            ),
            errors: z.array(runErrorSchema),
          }),
        },
      },
      faults: ['LOCK_BUSY', 'CANCELLED'],
      work: async ({ body, caller }) => {
        const { removed, decisions, errors } = await operations.prune(body, caller.name);
        return {
          body: { success: errors.length === 0, removed_count: removed.length, decisions, errors },
        };
      },
    }),
  ];
}
