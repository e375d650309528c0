/** Parameters that several routes have. */
import * as z from 'zod/mini';
import { SOURCE_NAME } from '../../domain/archive-name.ts';
import { ARCHIVE_TYPES } from '../../domain/manifest.ts';
import { described, optional, withDefault } from '../../lib/described.ts';

/** No filename of an archive is longer. */
const FILENAME_LENGTH_MAX = 255;
const CURSOR_LENGTH_MAX = 400;

export const filenameParams = z.strictObject({
  filename: described(z.string().check(z.maxLength(FILENAME_LENGTH_MAX)), 'The filename of an archive.'),
});

/** Off unless `true`. */
export const wait = withDefault(
  z.pipe(
    z.pipe(
      z.enum(['true', 'false']),
      z.transform((text) => text === 'true'),
    ),
    z.boolean(),
  ),
  false,
  'Whether to answer only when the work is done.',
);

export const waitQuery = z.strictObject({ wait });

export function limit(most: number, usual: number) {
  return withDefault(
    z.pipe(
      z.pipe(z.string().check(z.regex(/^\d{1,9}$/, 'a whole number')), z.transform(Number)),
      z.int().check(z.minimum(1), z.maximum(most)),
    ),
    usual,
    'How many at most.',
  );
}

export const cursor = optional(
  z.string().check(z.minLength(1), z.maxLength(CURSOR_LENGTH_MAX)),
  '`next_cursor` of the answer before.',
);

export const type = optional(z.enum(ARCHIVE_TYPES), 'Only those of this type.');
export const source = optional(
  z.string().check(z.regex(/^[a-z0-9][a-z0-9_-]{0,62}(?:_globals)?$/, 'the name of a source')),
  'Only those of this source.',
);
export const jobName = described(
  z.string().check(z.regex(SOURCE_NAME, 'the name of a job')),
  'The name of a job.',
);
