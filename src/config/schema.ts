/**
 * The whole configuration file. This one schema validates it, and config.schema.json and the table of
 * keys in the docs are derived from it. Messages state what is allowed (see leaves.ts).
 *
 * Keys of a job have no defaults here: what a job leaves out it takes from the top level (resolve.ts).
 */
import * as z from 'zod/mini';
import { SOURCE_NAME } from '../domain/archive-name.ts';
import { DEFAULT_LEVELS } from '../domain/compression-levels.ts';
import { COMPRESSION_TYPES, VERIFY_LEVELS } from '../domain/manifest.ts';
import { described, descriptionOf, optional, withDefault, withItsDefaults } from '../lib/described.ts';
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
  const type = <T extends string>(name: T) => described(z.literal(name), 'The kind of compression.');
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
              level: withDefault(
                count(1, 9),
                DEFAULT_LEVELS.gzip,
                'From 1 (fastest) to 9 (smallest) for gzip.',
              ),
            },
            COMPRESSION_ALLOWED,
          ),
          section(
            {
              type: type('zstd'),
              level: withDefault(
                count(1, 19),
                DEFAULT_LEVELS.zstd,
                'From 1 (fastest) to 19 (smallest) for zstd.',
              ),
              longDistance: withDefault(
                flag(),
                false,
                'zstd: also find what repeats over up to 128 MiB, for as much more memory.',
              ),
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

const ARGV_ALLOWED = 'an array of a program and its arguments';
const argv = (when: string) =>
  optional(
    list(z.string('a string').check(z.regex(/^[^\0]*$/, 'a string without NUL')), ARGV_ALLOWED).check(
      z.refine((words) => words[0] !== '', ARGV_ALLOWED),
    ),
    `Program and arguments to run ${when}; no shell is involved.`,
  );

const hooksSchema = section(
  {
    before: argv('before the sources; when it fails the run stops'),
    after: argv('after the run'),
    failure: argv('after a run that failed'),
  },
  'an object with `before`, `after` and `failure`',
);

const bucket = (period: string) =>
  optional(count(0, 10_000), `Keep the newest archive of each of this many ${period}; 0 is off.`);

const days = count(0, 36_500);
const keepLast = count(0, 10_000);
const retentionRules = {
  days: optional(days, 'Keep every archive of this many days; 0 is off.'),
  keepLast: optional(
    keepLast,
    'Keep this many of the newest archives; the newest verified one stays in any case.',
  ),
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
    schedule: withDefault(schedule(), DEFAULT_PRUNE_SCHEDULE, 'When to prune, in the top-level time zone.'),
    ...retentionRules,
    days: withDefault(days, 30, descriptionOf(retentionRules.days)),
    keepLast: withDefault(keepLast, 1, descriptionOf(retentionRules.keepLast)),
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
        rowsDown: withDefault(
          fraction(),
          0.5,
          'Warn when rows, or entries of a files archive, are down by more than this share.',
        ),
        sizeDown: withDefault(
          fraction(),
          0.5,
          'Warn when the size before compression is down by more than this share.',
        ),
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
    section({ schedule: described(schedule(), "When to drill, in the job's time zone.") }, DRILL_ALLOWED),
  ],
  DRILL_ALLOWED,
);

const scratchSchema = section(
  {
    directory: optional(
      text('the path of a directory'),
      'Where drills put throwaway clusters and files, and parallel restores their copy of an archive; the temporary directory of the system when absent.',
    ),
    url: optional(
      secretSchema,
      'Drill databases on this server, in a database made and dropped by each drill, instead of a throwaway cluster. A connection URI of a maintenance database, as a reference to a secret.',
    ),
  },
  'an object with `directory` and `url`',
);

const VERIFY_DESCRIPTION =
  'What to check in each new archive: `checksum` re-reads the stored bytes, `contents` also decodes and compares them.';

export const jobSchema = section(
  {
    enabled: optional(flag(), 'Whether the daemon runs this job.'),
    schedule: described(
      schedule(),
      'When to back up: a cron expression of 5 fields, or of 6 with seconds first.',
    ),
    timezone: optional(timezone(), 'The time zone of the schedule and of the retention periods.'),
    sources: described(
      list(sourceSchema, 'an array of at least one source'),
      'What to back up, in this order.',
    ),
    compression: optional(compressionSchema, 'How to compress the archives.'),
    timeout: optional(duration(1), 'How long a run may take.'),
    retries: optional(count(0, 100), 'How often to try again after a connection fault.'),
    jitter: optional(duration(0), 'Delay each start by a random time up to this.'),
    catchUp: optional(flag(), 'Make up once for runs missed while the daemon was down.'),
    grace: optional(duration(0), 'How late a success may be before the job is overdue.'),
    verify: optional(choice(VERIFY_LEVELS), VERIFY_DESCRIPTION),
    hooks: optional(hooksSchema, 'Programs around each run; `COFRE_*` variables tell them about it.'),
    retention: optional(jobRetentionSchema, 'Rules that replace those of the top level, one by one.'),
    anomaly: optional(anomalySchema, ANOMALY_DESCRIPTION),
    drill: optional(
      drillSchema,
      'When to prove that the newest archives of this job restore; never when absent.',
    ),
  },
  'an object describing a job',
);

const topShape = jobSchema.shape;

export const configSchema = section(
  {
    $schema: optional(z.string('a string'), 'The JSON schema of this file, for editors.'),
    enabled: withDefault(flag(), true, 'Whether the daemon runs any job.'),
    timezone: withDefault(timezone(), 'UTC', 'The time zone of all schedules and retention periods.'),
    location: described(
      text('the path of a directory'),
      'The directory that holds the backups. A relative path is relative to this file.',
    ),
    jobs: described(
      z.record(matching(SOURCE_NAME, NAME_ALLOWED), jobSchema, 'an object of jobs by name'),
      'The jobs, by name.',
    ),
    compression: withDefault(compressionSchema, 'gzip', descriptionOf(topShape.compression)),
    timeout: withDefault(duration(1), '6h', descriptionOf(topShape.timeout)),
    retries: withDefault(count(0, 100), 2, descriptionOf(topShape.retries)),
    jitter: withDefault(duration(0), '0s', descriptionOf(topShape.jitter)),
    catchUp: withDefault(flag(), true, descriptionOf(topShape.catchUp)),
    grace: withDefault(duration(0), '1h', descriptionOf(topShape.grace)),
    verify: withDefault(choice(VERIFY_LEVELS), 'contents', VERIFY_DESCRIPTION),
    concurrency: withDefault(count(1, 64), 1, 'How many runs may go on at once.'),
    requireMount: withDefault(flag(), false, 'Whether the location must be a mount point.'),
    retention: withItsDefaults(
      topRetentionSchema,
      'Which archives to keep: one is kept when any rule keeps it.',
    ),
    scrub: optional(
      section(
        {
          schedule: described(schedule(), 'When to scrub, in the top-level time zone.'),
          share: described(
            fraction(),
            'The part of all archives to verify each time, those checked longest ago first.',
          ),
        },
        'an object with `schedule` and `share`',
      ),
      'Verify old archives again, a share at a time; off when absent.',
    ),
    anomaly: optional(anomalySchema, ANOMALY_DESCRIPTION),
    scratch: withItsDefaults(scratchSchema, 'Where drills are done.'),
    http: withItsDefaults(httpSchema, 'Where health, metrics and the API are served, and to whom.'),
    notify: withDefault(notifySchema, [], 'Who is told of failures and other events, and how.'),
  },
  'an object',
);

/** What a validated file holds, top-level defaults filled in. */
export type ConfigInput = z.infer<typeof configSchema>;
export type JobInput = ConfigInput['jobs'][string];
export type CompressionInput = ConfigInput['compression'];

/** The schemas of the values that environment variables can override. */
export const httpShape = httpSchema.shape;
