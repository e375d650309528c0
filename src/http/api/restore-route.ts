import * as z from 'zod/mini';
import { isGlobalsSource } from '../../domain/archive-name.ts';
import { BackupError } from '../../domain/errors.ts';
import type { Manifest } from '../../domain/manifest.ts';
import { described, optional } from '../../lib/described.ts';
import type { Operations, RestoreWish } from './operations.ts';
import { filenameParams, waitQuery } from './parameters.ts';
import { type ApiRoute, defineRoute } from './route.ts';
import { runLocation } from './run-routes.ts';
import { acceptedSchema } from './schemas.ts';

const JOBS_MOST = 64;
const JOBS_USUAL = 2;
const NAMES_MOST = 1000;

const names = (what: string) =>
  optional(
    z
      .array(z.string().check(z.minLength(1), z.maxLength(255)))
      .check(z.minLength(1), z.maxLength(NAMES_MOST)),
    what,
  );
const flag = (what: string) => optional(z.boolean(), what);

const bodySchema = z.strictObject({
  confirm: described(z.string().check(z.maxLength(255)), 'The filename once more.'),
  to: described(
    z.string().check(z.minLength(1), z.maxLength(1024)),
    'The name of a target in `http.restoreTargets`.',
  ),
  as: optional(
    z
      .string()
      .check(z.regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/, 'letters, digits, "_", "." and "-", at most 63')),
    "What the database is called, in place of the one in the target's URI; or the directory that is made in the target's.",
  ),
  dryRun: flag('Only say what would be done.'),
  create: flag('Databases: make the database.'),
  clean: flag('Databases: put it in the place of what is there, once it is restored.'),
  jobs: optional(
    z.int().check(z.minimum(1), z.maximum(JOBS_MOST)),
    'Custom and directory format: connections that restore at once.',
  ),
  schemas: names('Custom and directory format: only these schemas.'),
  tables: names('Custom and directory format: only these tables.'),
  globals: flag('Databases: first the roles and tablespaces of the archive that belongs to this one.'),
  owners: flag('Whether owners and privileges are restored; default: yes.'),
  paths: names('Files: only these, with what is below them.'),
  overwrite: flag('Files: merge into a directory that is not empty.'),
  outsideLinks: flag('Files: also links that lead out of the target.'),
});
type RestoreBody = z.output<typeof bodySchema>;

/** What goes with one kind of archive only. */
const KEYS_OF = {
  database: ['create', 'clean', 'jobs', 'schemas', 'tables', 'globals'],
  files: ['paths', 'overwrite', 'outsideLinks'],
} as const satisfies Record<string, readonly (keyof RestoreBody)[]>;

export function restoreRoutes(operations: Operations): ApiRoute[] {
  return [
    defineRoute({
      method: 'POST',
      path: '/api/v1/backups/:filename/restore',
      operationId: 'restoreBackup',
      summary: 'Restores one archive into a configured target, and compares what stands there with it.',
      scope: 'restore',
      params: filenameParams,
      query: waitQuery,
      body: bodySchema,
      answers: {
        202: {
          description: 'The restore has begun, or waits for its turn.',
          schema: acceptedSchema,
          headers: { Location: 'Where the run can be asked for.' },
        },
        200: {
          description: 'With `wait=true`: what was done. `success` is whether it is as it was recorded.',
          schema: z.object({
            success: z.boolean(),
            filename: z.string(),
            target: z.string(),
            dry_run: z.boolean(),
            steps: z.array(z.string()),
            restored: z.optional(
              z.union([
                z.object({ tables: z.int(), rows: z.int() }),
                z.object({ entries: z.int(), bytes: z.int() }),
              ]),
            ),
            compared: z.boolean(),
            differences: z.array(z.string()),
            duration_ms: z.number(),
          }),
        },
      },
      faults: [
        'ARCHIVE_UNKNOWN',
        'MANIFEST_CORRUPT',
        'ARCHIVE_CORRUPT',
        'TARGET_REFUSED',
        'ARCHIVE_UNSAFE',
        'SPACE_LOW',
        'RESTORE_FAILED',
        'SERVER_UNREACHABLE',
        'JOB_BUSY',
        'CANCELLED',
      ],
      work: async ({ params: { filename }, query, body, caller }) => {
        const manifest = await operations.backup(filename);
        assertConfirmed(filename, body);
        const begun = await operations.startRestore(filename, wishOf(manifest, body), caller.name);
        if (query.wait) {
          const report = await begun.done;
          return { body: { success: report.differences.length === 0, ...report } };
        }
        return { status: 202, headers: runLocation(begun.run), body: { success: true, run: begun.run } };
      },
    }),
  ];
}

/** Throws USAGE: whoever restores the wrong archive has not read what they confirm. */
function assertConfirmed(filename: string, { confirm }: RestoreBody): void {
  if (confirm === filename) return;
  throw new BackupError('USAGE', '`confirm` is not the filename of the archive', {
    path: filename,
    hint: `Send "confirm": "${filename}" if this archive is meant.`,
  });
}

/** Throws USAGE for what does not go with the archive, as the command line does. */
function wishOf({ type, format, source }: Manifest, body: RestoreBody): RestoreWish {
  refuse(
    body,
    KEYS_OF[type === 'files' ? 'database' : 'files'],
    `an archive of ${type === 'files' ? 'a database' : 'files'}`,
  );
  if (isGlobalsSource(source))
    refuse(body, [...KEYS_OF.database, 'owners', 'as'], 'an archive of a database');
  if (format === 'plain') refuse(body, ['schemas', 'tables', 'jobs'], 'the custom and directory formats');
  if (body.clean === true && (body.schemas ?? body.tables) !== undefined) {
    throw new BackupError(
      'USAGE',
      '`clean` replaces a whole database: it does not go with `schemas` and `tables`',
      {
        hint: 'Leave one of them out.',
      },
    );
  }
  const owners = body.owners ?? true;
  return {
    target: body.to,
    as: body.as,
    dryRun: body.dryRun ?? false,
    database: {
      create: body.create ?? false,
      clean: body.clean ?? false,
      jobs: body.jobs ?? JOBS_USUAL,
      singleTransaction: true,
      owners,
      // Over what the archive came from nobody restores from afar.
      forceSource: false,
      schemas: body.schemas ?? [],
      tables: body.tables ?? [],
      ...(body.globals === true ? { globals: true } : {}),
    },
    files: {
      paths: body.paths ?? [],
      overwrite: body.overwrite ?? false,
      outsideLinks: body.outsideLinks ?? false,
      owners: owners && process.geteuid?.() === 0,
    },
  };
}

function refuse(body: RestoreBody, keys: readonly (keyof RestoreBody)[], what: string): void {
  const given = keys.find((key) => body[key] !== undefined);
  if (given === undefined) return;
  throw new BackupError('USAGE', `\`${given}\` goes only with ${what}`, { hint: 'Leave it out.' });
}
