/** What a job backs up: one database, or a set of directories. Messages state what is allowed (see leaves.ts). */
import * as z from 'zod/mini';
import { SOURCE_NAME } from '../domain/archive-name.ts';
import { POSTGRES_URI_START } from '../domain/postgres-uri.ts';
import { described, optional, withDefault } from '../lib/described.ts';
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
export function secretOf(plain: z.ZodMiniString<string>, allowed: string) {
  return z.union(
    [
      plain,
      section(
        {
          env: described(
            matching(/^[A-Za-z_][A-Za-z0-9_]*$/, ENV_NAME_ALLOWED),
            'The environment variable that holds the secret; a `.env` beside the configuration is read too.',
          ),
        },
        allowed,
      ),
      section(
        {
          // A URI here is the secret itself in the wrong place; as a path it would end up in messages.
          file: described(
            matching(/^(?![\s\S]*:\/\/)[^\0]+$/, 'the path of a file'),
            'The file that holds the secret; one newline at its end is left out.',
          ),
        },
        allowed,
      ),
      section(
        {
          credential: described(
            matching(/^(?!\.{1,2}$)[^\0/]{1,255}$/, 'the name of a systemd credential'),
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
  described(
    matching(SOURCE_NAME, SOURCE_NAME_ALLOWED).check(z.regex(/^(?!.*_globals$)/, SOURCE_NAME_ALLOWED)),
    'What the source is called, unique across all jobs; it stands in the name of each archive.',
  );

const pattern = () => text('a pattern that is not empty');
/** Empty it would read as "nothing", and dump everything. */
const includedPatterns = () => list(pattern(), 'an array of at least one pattern');
const excludedPatterns = () => z.array(pattern(), 'an array of patterns');

const SELECTION_ALLOWED = 'an object with `schemas` and `tables`';
const includeSchema = section(
  {
    schemas: optional(includedPatterns(), 'Schemas to dump, as patterns of pg_dump.'),
    tables: optional(includedPatterns(), 'Tables to dump, as patterns of pg_dump.'),
  },
  SELECTION_ALLOWED,
);
const excludeSchema = section(
  {
    schemas: optional(excludedPatterns(), 'Schemas to leave out, as patterns of pg_dump.'),
    tables: optional(excludedPatterns(), 'Tables to leave out, as patterns of pg_dump.'),
  },
  SELECTION_ALLOWED,
);

/** Each is a session of the server, and a snapshot that it keeps. */
const DUMP_JOBS_MOST = 64;
const GLOBALS_ALLOWED = 'true, false or an object with `passwords`';

const postgresSchema = section(
  {
    type: described(z.literal('postgres'), 'One PostgreSQL database.'),
    name: sourceName(),
    url: described(
      z.clone(secretSchema),
      'The connection URI, as a reference to a secret. A password in plain text is accepted with a warning.',
    ),
    format: withDefault(choice(['plain', 'custom', 'directory']), 'plain', "The format of pg_dump's output."),
    dumpJobs: withDefault(
      count(1, DUMP_JOBS_MOST),
      2,
      'How many tables are dumped at once; with the format `directory` only.',
    ),
    include: optional(includeSchema, 'Dump only these; everything when absent.'),
    exclude: optional(excludeSchema, 'Leave these out.'),
    lockWaitTimeout: withDefault(duration(1), '60s', 'How long to wait for the lock of each table.'),
    binDir: optional(
      text('the path of a directory'),
      "Directory of PostgreSQL's programs; found by server version when absent.",
    ),
    exclusive: withDefault(
      flag(),
      false,
      'Hold an advisory lock while dumping. Needs a session: not through a transaction pooler.',
    ),
    globals: withDefault(
      z.union(
        [
          flag(),
          section(
            {
              passwords: withDefault(
                flag(),
                false,
                'With the hashes of their passwords, which takes a superuser to read.',
              ),
            },
            GLOBALS_ALLOWED,
          ),
        ],
        GLOBALS_ALLOWED,
      ),
      false,
      'Also archive the roles and tablespaces of the server (pg_dumpall --globals-only), as a series of their own named `<name>_globals`. An object for its options.',
    ),
  },
  'an object describing a source',
);

const DIRECTORY_ALLOWED = 'the path of a directory, or {"path": …, "as": …}';

const filesSchema = section(
  {
    type: described(z.literal('files'), 'A set of directories in one archive.'),
    name: sourceName(),
    directories: described(
      list(
        z.union(
          [
            text(DIRECTORY_ALLOWED),
            section(
              {
                path: described(text('the path of a directory'), 'The directory.'),
                as: optional(
                  matching(/^(?!\.{1,2}$)[^\0/]{1,255}$/, MEMBER_ALLOWED),
                  "The name it has in the archive; the directory's own name when absent.",
                ),
              },
              DIRECTORY_ALLOWED,
            ),
          ],
          DIRECTORY_ALLOWED,
        ),
        'an array of at least one directory',
      ),
      'The directories to back up; each lies in the archive below its own name.',
    ),
    exclude: optional(excludedPatterns(), 'Glob patterns of what to leave out, such as `*.tmp`.'),
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
