/**
 * The whole configuration file. This one schema validates it, and config.schema.json and the table of
 * keys in the docs are derived from it. Messages state what is allowed (see leaves.ts).
 *
 * Keys of a job have no defaults here: what a job leaves out it takes from the top level (resolve.ts).
 */
import { z } from 'zod';
import { SOURCE_NAME } from '../domain/archive-name.ts';
import { DEFAULT_LEVELS } from '../domain/compression-levels.ts';
import { COMPRESSION_TYPES, VERIFY_LEVELS } from '../domain/manifest.ts';
import {
  choice,
  count,
  duration,
  flag,
  fraction,
  list,
  matching,
  schedule,
  section,
  text,
  timezone,
} from './leaves.ts';
import { httpSchema } from './http-schema.ts';
import { notifySchema } from './notify-schema.ts';
import { NAME_ALLOWED, secretSchema, sourceSchema } from './source-schema.ts';

// zod would compile code for each part of a schema, which is worth it for more than the one document there is.
z.config({ jitless: true });

const DEFAULT_PRUNE_SCHEDULE = '30 3 * * *';

const COMPRESSION_ALLOWED = `${COMPRESSION_TYPES.map((type) => JSON.stringify(type)).join(', ')}, or {"type": …, "level": …}`;

function makeCompression() {
  const type = <T extends string>(name: T) => z.literal(name).describe('The kind of compression.');
  return z.union(
    [
      choice(COMPRESSION_TYPES),
      z.discriminatedUnion(
        'type',
        [
          section({ type: type('none') }, COMPRESSION_ALLOWED),
          section(
            {
              type: type('gzip'),
              level: count(1, 9)
                .default(DEFAULT_LEVELS.gzip)
                .describe('From 1 (fastest) to 9 (smallest) for gzip.'),
            },
            COMPRESSION_ALLOWED,
          ),
          section(
            {
              type: type('zstd'),
              level: count(1, 19)
                .default(DEFAULT_LEVELS.zstd)
                .describe('From 1 (fastest) to 19 (smallest) for zstd.'),
              longDistance: flag()
                .default(false)
                .describe('zstd: also find what repeats over up to 128 MiB, for as much more memory.'),
            },
            COMPRESSION_ALLOWED,
          ),
        ],
        COMPRESSION_TYPES.map((name) => JSON.stringify(name)).join(', '),
      ),
    ],
    COMPRESSION_ALLOWED,
  );
}

const compressionSchema = makeCompression();

const argv = (when: string) =>
  list(
    z.string('a string').regex(/^[^\0]*$/, 'a string without NUL'),
    'an array of a program and its arguments',
  )
    .refine((words) => words[0] !== '', 'an array of a program and its arguments')
    .optional()
    .describe(`Program and arguments to run ${when}; no shell is involved.`);

const hooksSchema = section(
  {
    before: argv('before the sources; when it fails the run stops'),
    after: argv('after the run'),
    failure: argv('after a run that failed'),
  },
  'an object with `before`, `after` and `failure`',
);

const bucket = (period: string) =>
  count(0, 10_000).optional().describe(`Keep the newest archive of each of this many ${period}; 0 is off.`);

const retentionRules = {
  days: count(0, 36_500).optional().describe('Keep every archive of this many days; 0 is off.'),
  keepLast: count(0, 10_000)
    .optional()
    .describe('Keep this many of the newest archives; the newest verified one stays in any case.'),
  hourly: bucket('hours'),
  daily: bucket('days'),
  weekly: bucket('ISO weeks'),
  monthly: bucket('months'),
  yearly: bucket('years'),
};
const RETENTION_ALLOWED = 'an object of rules such as {"days": 30, "keepLast": 1}';
const jobRetentionSchema = section(retentionRules, RETENTION_ALLOWED);
const topRetentionSchema = section(
  {
    schedule: schedule()
      .default(DEFAULT_PRUNE_SCHEDULE)
      .describe('When to prune, in the top-level time zone.'),
    ...retentionRules,
    days: retentionRules.days.unwrap().default(30).describe(describe(retentionRules.days)),
    keepLast: retentionRules.keepLast.unwrap().default(1).describe(describe(retentionRules.keepLast)),
  },
  RETENTION_ALLOWED,
);

const ANOMALY_ALLOWED = 'false, or an object with `rowsDown` and `sizeDown`';
const ANOMALY_DESCRIPTION =
  'Compare each new archive with its series, and warn when its contents shrank; off when absent or false.';
/** False is for a job that does not do what the top level does. */
const anomalySchema = z.union(
  [
    z.literal(false, ANOMALY_ALLOWED),
    section(
      {
        rowsDown: fraction()
          .default(0.5)
          .describe('Warn when rows, or entries of a files archive, are down by more than this share.'),
        sizeDown: fraction()
          .default(0.5)
          .describe('Warn when the size before compression is down by more than this share.'),
      },
      ANOMALY_ALLOWED,
    ),
  ],
  ANOMALY_ALLOWED,
);

const DRILL_ALLOWED = '"each", or an object with `schedule`';
const drillSchema = z.union(
  [
    z.literal('each', DRILL_ALLOWED),
    section({ schedule: schedule().describe("When to drill, in the job's time zone.") }, DRILL_ALLOWED),
  ],
  DRILL_ALLOWED,
);

const scratchSchema = section(
  {
    directory: text('the path of a directory')
      .optional()
      .describe(
        'Where drills put throwaway clusters and files, and parallel restores their copy of an archive; the temporary directory of the system when absent.',
      ),
    url: secretSchema
      .optional()
      .describe(
        'Drill databases on this server, in a database made and dropped by each drill, instead of a throwaway cluster. A connection URI of a maintenance database, as a reference to a secret.',
      ),
  },
  'an object with `directory` and `url`',
);

const VERIFY_DESCRIPTION =
  'What to check in each new archive: `checksum` re-reads the stored bytes, `contents` also decodes and compares them.';

export const jobSchema = section(
  {
    enabled: flag().optional().describe('Whether the daemon runs this job.'),
    schedule: schedule().describe(
      'When to back up: a cron expression of 5 fields, or of 6 with seconds first.',
    ),
    timezone: timezone().optional().describe('The time zone of the schedule and of the retention periods.'),
    sources: list(sourceSchema, 'an array of at least one source').describe(
      'What to back up, in this order.',
    ),
    compression: compressionSchema.optional().describe('How to compress the archives.'),
    timeout: duration(1).optional().describe('How long a run may take.'),
    retries: count(0, 100).optional().describe('How often to try again after a connection fault.'),
    jitter: duration(0).optional().describe('Delay each start by a random time up to this.'),
    catchUp: flag().optional().describe('Make up once for runs missed while the daemon was down.'),
    grace: duration(0).optional().describe('How late a success may be before the job is overdue.'),
    verify: choice(VERIFY_LEVELS).optional().describe(VERIFY_DESCRIPTION),
    hooks: hooksSchema
      .optional()
      .describe('Programs around each run; `COFRE_*` variables tell them about it.'),
    retention: jobRetentionSchema
      .optional()
      .describe('Rules that replace those of the top level, one by one.'),
    anomaly: anomalySchema.optional().describe(ANOMALY_DESCRIPTION),
    drill: drillSchema
      .optional()
      .describe('When to prove that the newest archives of this job restore; never when absent.'),
  },
  'an object describing a job',
);

const topShape = jobSchema.shape;

export const configSchema = section(
  {
    $schema: z.string('a string').optional().describe('The JSON schema of this file, for editors.'),
    enabled: flag().default(true).describe('Whether the daemon runs any job.'),
    timezone: timezone().default('UTC').describe('The time zone of all schedules and retention periods.'),
    location: text('the path of a directory').describe(
      'The directory that holds the backups. A relative path is relative to this file.',
    ),
    jobs: z
      .record(matching(SOURCE_NAME, NAME_ALLOWED), jobSchema, 'an object of jobs by name')
      .describe('The jobs, by name.'),
    compression: compressionSchema.default('gzip').describe(describe(topShape.compression)),
    timeout: duration(1).default('6h').describe(describe(topShape.timeout)),
    retries: count(0, 100).default(2).describe(describe(topShape.retries)),
    jitter: duration(0).default('0s').describe(describe(topShape.jitter)),
    catchUp: flag().default(true).describe(describe(topShape.catchUp)),
    grace: duration(0).default('1h').describe(describe(topShape.grace)),
    verify: choice(VERIFY_LEVELS).default('contents').describe(VERIFY_DESCRIPTION),
    concurrency: count(1, 64).default(1).describe('How many runs may go on at once.'),
    requireMount: flag().default(false).describe('Whether the location must be a mount point.'),
    retention: topRetentionSchema
      .prefault({})
      .describe('Which archives to keep: one is kept when any rule keeps it.'),
    scrub: section(
      {
        schedule: schedule().describe('When to scrub, in the top-level time zone.'),
        share: fraction().describe(
          'The part of all archives to verify each time, those checked longest ago first.',
        ),
      },
      'an object with `schedule` and `share`',
    )
      .optional()
      .describe('Verify old archives again, a share at a time; off when absent.'),
    anomaly: anomalySchema.optional().describe(ANOMALY_DESCRIPTION),
    scratch: scratchSchema.prefault({}).describe('Where drills are done.'),
    http: httpSchema.prefault({}).describe('Where health, metrics and the API are served, and to whom.'),
    notify: notifySchema.default([]).describe('Who is told of failures and other events, and how.'),
  },
  'an object',
);

/** What a validated file holds, top-level defaults filled in. */
export type ConfigInput = z.infer<typeof configSchema>;
export type JobInput = ConfigInput['jobs'][string];
export type CompressionInput = ConfigInput['compression'];

/** The schemas of the values that environment variables can override. */
export const httpShape = httpSchema.shape;

function describe(schema: z.ZodType): string {
  return schema.description ?? '';
}
