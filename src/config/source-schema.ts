/** What a job backs up: one database, or a set of directories. Messages state what is allowed (see leaves.ts). */
import { z } from 'zod';
import { SOURCE_NAME } from '../domain/archive-name.ts';
import { POSTGRES_URI_START } from '../domain/postgres-uri.ts';
import { choice, count, duration, flag, list, matching, section, text } from './leaves.ts';

export const NAME_ALLOWED =
  'lower-case letters, digits, "_" and "-", starting with a letter or digit, at most 63 characters';
const SOURCE_NAME_ALLOWED = `${NAME_ALLOWED}, not ending in "_globals"`;
const MEMBER_ALLOWED = 'a name without "/", not "." or ".."';
const ENV_NAME_ALLOWED = 'the name of an environment variable: letters, digits and "_"';

export const URL_ALLOWED = 'a URI beginning with postgres://, postgresql:// or postgresql+driver://';
const SECRET_ALLOWED = `exactly one of {"env": NAME}, {"file": PATH} or {"credential": NAME}; or ${URL_ALLOWED}`;

export function isPostgresUrl(value: string): boolean {
  return POSTGRES_URI_START.test(value);
}

/** A reference to a secret, or `plain`: the secret itself. */
export function secretOf(plain: z.ZodString, allowed: string) {
  return z.union(
    [
      plain,
      section(
        {
          env: matching(/^[A-Za-z_][A-Za-z0-9_]*$/, ENV_NAME_ALLOWED).describe(
            'The environment variable that holds the secret; a `.env` beside the configuration is read too.',
          ),
        },
        allowed,
      ),
      section(
        {
          // A URI here is the secret itself in the wrong place; as a path it would end up in messages.
          file: matching(/^(?![\s\S]*:\/\/)[^\0]+$/, 'the path of a file').describe(
            'The file that holds the secret; one newline at its end is left out.',
          ),
        },
        allowed,
      ),
      section(
        {
          credential: matching(/^(?!\.{1,2}$)[^\0/]{1,255}$/, 'the name of a systemd credential').describe(
            "The systemd credential that holds the secret (a file in the service's `$CREDENTIALS_DIRECTORY`).",
          ),
        },
        allowed,
      ),
    ],
    allowed,
  );
}

export const secretSchema = secretOf(matching(POSTGRES_URI_START, SECRET_ALLOWED), SECRET_ALLOWED);

/** Printable ASCII without spaces, as it goes into a header. */
const TOKEN_PATTERN = /^[!-~]{20,512}$/;
export const TOKEN_TEXT_ALLOWED = 'a token of 20 to 512 printable ASCII characters without spaces';
const TOKEN_ALLOWED = `exactly one of {"env": NAME}, {"file": PATH} or {"credential": NAME}; or ${TOKEN_TEXT_ALLOWED}`;

export function isToken(value: string): boolean {
  return TOKEN_PATTERN.test(value);
}

export const tokenSchema = secretOf(matching(TOKEN_PATTERN, TOKEN_ALLOWED), TOKEN_ALLOWED);

/** A reference to a secret, or the secret itself in plain text. */
export type SecretInput = z.infer<typeof secretSchema>;

const sourceName = () =>
  matching(SOURCE_NAME, SOURCE_NAME_ALLOWED)
    .regex(/^(?!.*_globals$)/, SOURCE_NAME_ALLOWED)
    .describe('What the source is called, unique across all jobs; it stands in the name of each archive.');

const pattern = () => text('a pattern that is not empty');
/** Empty it would read as "nothing", and dump everything. */
const includedPatterns = () => list(pattern(), 'an array of at least one pattern');
const excludedPatterns = () => z.array(pattern(), 'an array of patterns');

const SELECTION_ALLOWED = 'an object with `schemas` and `tables`';
const includeSchema = section(
  {
    schemas: includedPatterns().optional().describe('Schemas to dump, as patterns of pg_dump.'),
    tables: includedPatterns().optional().describe('Tables to dump, as patterns of pg_dump.'),
  },
  SELECTION_ALLOWED,
);
const excludeSchema = section(
  {
    schemas: excludedPatterns().optional().describe('Schemas to leave out, as patterns of pg_dump.'),
    tables: excludedPatterns().optional().describe('Tables to leave out, as patterns of pg_dump.'),
  },
  SELECTION_ALLOWED,
);

/** Each is a session of the server, and a snapshot that it keeps. */
const DUMP_JOBS_MOST = 64;
const GLOBALS_ALLOWED = 'true, false or an object with `passwords`';

const postgresSchema = section(
  {
    type: z.literal('postgres').describe('One PostgreSQL database.'),
    name: sourceName(),
    url: secretSchema.describe(
      'The connection URI, as a reference to a secret. A password in plain text is accepted with a warning.',
    ),
    format: choice(['plain', 'custom', 'directory'])
      .default('plain')
      .describe("The format of pg_dump's output."),
    dumpJobs: count(1, DUMP_JOBS_MOST)
      .default(2)
      .describe('How many tables are dumped at once; with the format `directory` only.'),
    include: includeSchema.optional().describe('Dump only these; everything when absent.'),
    exclude: excludeSchema.optional().describe('Leave these out.'),
    lockWaitTimeout: duration(1).default('60s').describe('How long to wait for the lock of each table.'),
    binDir: text('the path of a directory')
      .optional()
      .describe("Directory of PostgreSQL's programs; found by server version when absent."),
    exclusive: flag()
      .default(false)
      .describe('Hold an advisory lock while dumping. Needs a session: not through a transaction pooler.'),
    globals: z
      .union(
        [
          flag(),
          section(
            {
              passwords: flag()
                .default(false)
                .describe('With the hashes of their passwords, which takes a superuser to read.'),
            },
            GLOBALS_ALLOWED,
          ),
        ],
        GLOBALS_ALLOWED,
      )
      .default(false)
      .describe(
        'Also archive the roles and tablespaces of the server (pg_dumpall --globals-only), as a series of their own named `<name>_globals`. An object for its options.',
      ),
  },
  'an object describing a source',
);

const DIRECTORY_ALLOWED = 'the path of a directory, or {"path": …, "as": …}';

const filesSchema = section(
  {
    type: z.literal('files').describe('A set of directories in one archive.'),
    name: sourceName(),
    directories: list(
      z.union(
        [
          text(DIRECTORY_ALLOWED),
          section(
            {
              path: text('the path of a directory').describe('The directory.'),
              as: matching(/^(?!\.{1,2}$)[^\0/]{1,255}$/, MEMBER_ALLOWED)
                .optional()
                .describe("The name it has in the archive; the directory's own name when absent."),
            },
            DIRECTORY_ALLOWED,
          ),
        ],
        DIRECTORY_ALLOWED,
      ),
      'an array of at least one directory',
    ).describe('The directories to back up; each lies in the archive below its own name.'),
    exclude: excludedPatterns().optional().describe('Glob patterns of what to leave out, such as `*.tmp`.'),
  },
  'an object describing a source',
);

export const sourceSchema = z.discriminatedUnion('type', [postgresSchema, filesSchema], {
  error: (issue) =>
    issue.code === 'invalid_union' ? '"postgres", "files"' : 'an object describing a source',
});

export type SourceInput = z.infer<typeof sourceSchema>;
export type PostgresInput = z.infer<typeof postgresSchema>;
export type FilesInput = z.infer<typeof filesSchema>;
export type DirectoryInput = FilesInput['directories'][number];
