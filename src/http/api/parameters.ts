/** Parameters that several routes have. */
import { z } from 'zod';
import { SOURCE_NAME } from '../../domain/archive-name.ts';
import { ARCHIVE_TYPES } from '../../domain/manifest.ts';

/** No filename of an archive is longer. */
const FILENAME_LENGTH_MAX = 255;
const CURSOR_LENGTH_MAX = 400;

export const filenameParams = z.strictObject({
  filename: z.string().max(FILENAME_LENGTH_MAX).describe('The filename of an archive.'),
});

/** Off unless `true`. */
export const wait = z
  .enum(['true', 'false'])
  .transform((text) => text === 'true')
  .pipe(z.boolean())
  .default(false)
  .describe('Whether to answer only when the work is done.');

export const waitQuery = z.strictObject({ wait });

export function limit(most: number, usual: number) {
  return z
    .string()
    .regex(/^\d{1,9}$/, 'a whole number')
    .transform(Number)
    .pipe(z.int().min(1).max(most))
    .default(usual)
    .describe('How many at most.');
}

export const cursor = z
  .string()
  .min(1)
  .max(CURSOR_LENGTH_MAX)
  .optional()
  .describe('`next_cursor` of the answer before.');

export const type = z.enum(ARCHIVE_TYPES).optional().describe('Only those of this type.');
export const source = z
  .string()
  .regex(/^[a-z0-9][a-z0-9_-]{0,62}(?:_globals)?$/, 'the name of a source')
  .optional()
  .describe('Only those of this source.');
export const jobName = z.string().regex(SOURCE_NAME, 'the name of a job').describe('The name of a job.');
