import * as z from 'zod/mini';
import { isGlobalsSource } from '../../domain/archive-name.ts';
import type { ArchiveType, Manifest } from '../../domain/manifest.ts';
import type { RunResult } from '../../engine/run-request.ts';
import { isDone } from './backup-routes.ts';
import type { Operations } from './operations.ts';
import { filenameParams, type } from './parameters.ts';
import { type ApiRoute, defineRoute } from './route.ts';
import { backupSchema, manifestSchema, runErrorSchema, success } from './schemas.ts';

/** Under both of them the system that cofre replaces had its routes, and its pages still call them. */
const PREFIXES = [
  { at: '/sistema/backup', id: 'Sistema' },
  { at: '/configuracoes/sistema/backup', id: 'ConfiguracoesSistema' },
] as const;

type Row = Pick<ApiRoute, 'method' | 'path' | 'operationId' | 'summary' | 'scope' | 'faults'>;

const TABLE = {
  run: {
    method: 'POST',
    path: '/executar',
    operationId: 'executar',
    summary: 'Runs every enabled job and waits: the newest archive of each type, further ones in `archives`.',
    scope: 'operate',
    faults: ['JOB_BUSY', 'CANCELLED'],
  },
  list: {
    method: 'GET',
    path: '/listar',
    operationId: 'listar',
    summary: 'Every backup, oldest first.',
    scope: 'read',
    faults: [],
  },
  delete: {
    method: 'DELETE',
    path: '/deletar/:filename',
    operationId: 'deletar',
    summary: 'Deletes one archive; only a pin refuses.',
    scope: 'delete',
    faults: ['ARCHIVE_UNKNOWN', 'ARCHIVE_PINNED', 'LOCK_BUSY'],
  },
  verify: {
    method: 'POST',
    path: '/verificar/:filename',
    operationId: 'verificar',
    summary: 'Reads one archive again and compares it with what was written.',
    scope: 'operate',
    faults: ['ARCHIVE_UNKNOWN', 'MANIFEST_CORRUPT', 'JOB_BUSY', 'CANCELLED', 'TOOL_MISSING'],
  },
  prune: {
    method: 'POST',
    path: '/limpar',
    operationId: 'limpar',
    summary: 'Applies the retention now.',
    scope: 'delete',
    faults: ['LOCK_BUSY', 'CANCELLED'],
  },
} as const satisfies Record<string, Row>;

/** The old routes, over the same operations as the new ones, with exactly the answers they had. */
export function legacyRoutes(operations: Operations): ApiRoute[] {
  return PREFIXES.flatMap(({ at, id }) => {
    const row = <K extends keyof typeof TABLE>(key: K) => {
      const { path, operationId, ...rest } = TABLE[key];
      return { ...rest, path: `${at}${path}`, operationId: `${operationId}${id}` };
    };
    const nullable = z.nullable(manifestSchema);
    return [
      defineRoute({
        ...row('run'),
        answers: {
          200: {
            description: 'Null: there is none of that type.',
            schema: z.object({
              database: nullable,
              files: nullable,
              archives: z.array(manifestSchema),
              success: z.boolean(),
              errors: z.array(runErrorSchema),
            }),
          },
        },
        work: async ({ caller }) => {
          const begun = await operations.startBackups(undefined, caller.name);
          return { body: byType(await Promise.all(begun.map(({ done }) => done))) };
        },
      }),
      defineRoute({
        ...row('list'),
        query: z.strictObject({ type }),
        // The pages add a number to keep browsers from answering out of their cache.
        looseQuery: true,
        answers: {
          200: {
            description: 'All of them.',
            schema: z.object({ success, backups: z.array(backupSchema), count: z.int() }),
          },
        },
        work: async ({ query }) => {
          const all = operations.backups();
          const backups = all.filter((backup) => query.type === undefined || backup.type === query.type);
          return { body: { success: true, backups, count: backups.length } };
        },
      }),
      defineRoute({
        ...row('delete'),
        params: filenameParams,
        answers: { 200: { description: 'It is gone.', schema: z.object({ success }) } },
        work: async ({ params: { filename }, caller }) => {
          await operations.delete(filename, caller.name);
          return { body: { success: true } };
        },
      }),
      defineRoute({
        ...row('verify'),
        params: filenameParams,
        answers: {
          200: { description: 'What was found.', schema: z.object({ success, valid: z.boolean() }) },
        },
        work: async ({ params: { filename }, caller }) => {
          const { valid } = await operations.verify(filename, 'contents', caller.name);
          return { body: { success: true, valid } };
        },
      }),
      defineRoute({
        ...row('prune'),
        answers: {
          200: {
            description: 'How many archives were removed.',
            schema: z.object({ success: z.boolean(), removed_count: z.int() }),
          },
        },
        work: async ({ caller }) => {
          const { removed, errors } = await operations.prune({ dryRun: false, force: false }, caller.name);
          return { body: { success: errors.length === 0, removed_count: removed.length } };
        },
      }),
    ];
  });
}

/** What the first of them answers with. */
export function byType(runs: readonly RunResult[]) {
  const all = runs.flatMap(({ archives }) => archives);
  const database = newestOf(all, 'database');
  const files = newestOf(all, 'files');
  return {
    database,
    files,
    archives: all.filter((archive) => archive !== database && archive !== files),
    success: runs.every(isDone),
    errors: runs.flatMap(({ errors }) => errors),
  };
}

/** The roles of a server are further archives wherever there is a database. */
function newestOf(archives: readonly Manifest[], wanted: ArchiveType): Manifest | null {
  const rank = ({ source, timestamp }: Manifest) => `${isGlobalsSource(source) ? 0 : 1} ${timestamp}`;
  const fitting = archives.filter((archive) => archive.type === wanted);
  return fitting.toSorted((a, b) => (rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0)).at(-1) ?? null;
}
